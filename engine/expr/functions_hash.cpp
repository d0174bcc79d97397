// Hashes. Of texts and bytes they are those of the bytes; results are lower-case hexadecimal where they do not fit an
// int64.

#include <array>

#include <openssl/evp.h>
#include <xxhash.h>

#include "engine/expr/overload.h"

namespace twinspan::engine {

namespace {

using View = std::string_view;

// params: a = kind of the argument, b = its scale
void xxhash64(KernelCall& call) {
  const Value& a = call.args[0];
  const auto of = [](const void* p, std::size_t n) { return static_cast<std::int64_t>(XXH64(p, n, 0)); };
  call.each<std::int64_t>([&](std::uint32_t i) -> std::int64_t {
    switch (static_cast<TypeKind>(call.params->a)) {
      case TypeKind::boolean: return of(&a.at<std::uint8_t>(i), 1);
      case TypeKind::string:
      case TypeKind::bytes:
      case TypeKind::array:
      case TypeKind::map:
      case TypeKind::row:
      case TypeKind::json: return of(a.at<std::string_view>(i).data(), a.at<std::string_view>(i).size());
      case TypeKind::decimal: return of(&a.at<Decimal>(i), sizeof(Decimal));
      case TypeKind::float64: {
        const double v = a.at<double>(i) == 0 ? 0.0 : a.at<double>(i);  // -0 = 0
        return of(&v, sizeof v);
      }
      default: return of(&a.at<std::int64_t>(i), 8);
    }
  });
}

bool prepare_hash(std::span<const ArgInfo> args, KernelChoice& k, std::string&, std::size_t&) {
  k.params.a = static_cast<std::int64_t>(args[0].type.kind);
  k.params.b = args[0].type.scale;
  return true;
}

const EVP_MD* digest_of(std::int64_t bits) {
  switch (bits) {
    case 128: return EVP_md5();
    case 160: return EVP_sha1();
    case 224: return EVP_sha224();
    case 256: return EVP_sha256();
    case 384: return EVP_sha384();
    case 512: return EVP_sha512();
    default: return nullptr;
  }
}

// params: a = bits of the digest
void digest(KernelCall& call) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  const EVP_MD* md = digest_of(call.params->a);
  static constexpr char kHex[] = "0123456789abcdef";
  auto* out = call.result<View>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = {};
    if (!call.computes(i)) continue;
    const View s = call.args[0].at<View>(i);
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes;
    unsigned size = 0;
    if (context == nullptr || EVP_DigestInit_ex(context.get(), md, nullptr) != 1 ||
        EVP_DigestUpdate(context.get(), s.data(), s.size()) != 1 ||
        EVP_DigestFinal_ex(context.get(), bytes.data(), &size) != 1) {
      call.fail(i, "the digest is not available in this installation of OpenSSL");
      continue;
    }
    char* text = static_cast<char*>(call.bytes->allocate(size * 2, 1));
    for (unsigned k = 0; k < size; ++k) {
      text[k * 2] = kHex[bytes[k] >> 4];
      text[k * 2 + 1] = kHex[bytes[k] & 15];
    }
    out[i] = {text, size * 2};
  }
}
template <int bits>
bool fixed_digest(std::span<const ArgInfo>, KernelChoice& k, std::string&, std::size_t&) {
  k.params.a = bits;
  return true;
}
bool chosen_digest(std::span<const ArgInfo> args, KernelChoice& k, std::string& error, std::size_t& bad) {
  bad = 1;
  if (args[1].constant == nullptr || args[1].constant->is_null(0)) {
    error = "the number of bits must be a constant";
    return false;
  }
  k.params.a = args[1].constant->at<std::int64_t>(0);
  if (k.params.a == 0) k.params.a = 256;
  if (k.params.a != 128 && k.params.a != 160 && digest_of(k.params.a) != nullptr) return true;
  error = "SHA-2 has 224, 256, 384 or 512 bits";
  return false;
}

// MurmurHash2 (A. Appleby) with the seed of Kafka's Java client: toPositive(murmur2(key)) % partitions is where it
// puts a key.
std::uint32_t kafka_murmur2(View s) {
  constexpr std::uint32_t m = 0x5bd1e995;
  auto h = 0x9747b28cu ^ static_cast<std::uint32_t>(s.size());
  const auto* p = reinterpret_cast<const unsigned char*>(s.data());
  std::size_t n = s.size();
  for (; n >= 4; p += 4, n -= 4) {
    auto k = p[0] | std::uint32_t{p[1]} << 8 | std::uint32_t{p[2]} << 16 | std::uint32_t{p[3]} << 24;
    k *= m;
    k ^= k >> 24;
    h = h * m ^ k * m;
  }
  if (n >= 3) h ^= std::uint32_t{p[2]} << 16;
  if (n >= 2) h ^= std::uint32_t{p[1]} << 8;
  if (n >= 1) h = (h ^ p[0]) * m;
  h = (h ^ h >> 13) * m;
  return h ^ h >> 15;
}
void murmur2(KernelCall& call) {
  call.each<std::int64_t>([&](std::uint32_t i) -> std::int64_t {
    return static_cast<std::int32_t>(kafka_murmur2(call.args[0].at<View>(i)));
  });
}

// CRC-32 of IEEE 802.3 (reflected, polynomial 0xEDB88320).
void crc32(KernelCall& call) {
  static constexpr auto kTable = [] {
    std::array<std::uint32_t, 256> t{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t c = i;
      for (int k = 0; k < 8; ++k) c = (c & 1) != 0 ? c >> 1 ^ 0xEDB88320u : c >> 1;
      t[i] = c;
    }
    return t;
  }();
  call.each<std::int64_t>([&](std::uint32_t i) -> std::int64_t {
    std::uint32_t c = ~0u;
    for (char b : call.args[0].at<View>(i)) c = c >> 8 ^ kTable[(c ^ static_cast<unsigned char>(b)) & 255];
    return static_cast<std::int64_t>(c ^ ~0u);
  });
}

}  // namespace

std::span<const Overload> hash_functions() {
  static const Overload table[] = {
      {{"xxhash64", "hash", "xxhash64(x) -> int64",
        "XXH64 (seed 0) of a text's bytes, or of a number's little-endian bytes."},
       "a",
       'i',
       xxhash64,
       5,
       prepare_hash},
      {{"murmur2", "hash", "murmur2(x bytes) -> int64",
        "MurmurHash2 as Kafka's Java client hashes keys: (murmur2(k) & 2147483647) % n is the partition."},
       "y",
       'i',
       murmur2,
       10},
      {{"crc32", "hash", "crc32(x bytes) -> int64", "CRC-32, 0 to 4294967295."}, "y", 'i', crc32, 30},
      {{"md5", "hash", "md5(x bytes) -> string", "MD5 in hexadecimal."}, "y", 's', digest, 300, fixed_digest<128>},
      {{"sha1", "hash", "sha1(x bytes) -> string", "SHA-1 in hexadecimal."}, "y", 's', digest, 300, fixed_digest<160>},
      {{"sha224", "hash", "sha224(x bytes) -> string", "SHA-224 in hexadecimal."},
       "y",
       's',
       digest,
       300,
       fixed_digest<224>},
      {{"sha256", "hash", "sha256(x bytes) -> string", "SHA-256 in hexadecimal."},
       "y",
       's',
       digest,
       300,
       fixed_digest<256>},
      {{"sha384", "hash", "sha384(x bytes) -> string", "SHA-384 in hexadecimal."},
       "y",
       's',
       digest,
       400,
       fixed_digest<384>},
      {{"sha512", "hash", "sha512(x bytes) -> string", "SHA-512 in hexadecimal."},
       "y",
       's',
       digest,
       400,
       fixed_digest<512>},
      {{"sha2", "hash", "sha2(x bytes, bits int64) -> string",
        "SHA-2 of 224, 256 (also 0), 384 or 512 bits in hexadecimal."},
       "yi",
       's',
       digest,
       400,
       chosen_digest},
  };
  return table;
}

}  // namespace twinspan::engine
