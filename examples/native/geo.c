/* Scalar functions: distances on the earth, and the cell of a grid that a place lies in.
 *
 *   select: { far: "geo.distance(lat, lon, 52.52, 13.405) > 1000", cell: "geo.cell(lat, lon, 3)" }
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/native/twinspan_native.h"

static const double kEarthRadius = 6371008.8; /* metres, mean */
static const double kDegree = 3.14159265358979323846 / 180;

static int is_place(double lat, double lon) { return lat >= -90 && lat <= 90 && lon >= -180 && lon <= 180; }

/* Haversine: exact enough for near places, where the cosine rule loses its digits. */
static void distance(const ts_host* host, uint64_t rows, const ts_column* args, ts_result* result) {
  double* out = (double*)result->values;
  for (uint64_t i = 0; i < rows; ++i) {
    if (!result->valid[i]) continue;
    double lat1 = ts_float64(&args[0], i), lon1 = ts_float64(&args[1], i);
    double lat2 = ts_float64(&args[2], i), lon2 = ts_float64(&args[3], i);
    if (!is_place(lat1, lon1) || !is_place(lat2, lon2)) {
      host->fail(host->self, i, "geo.distance: latitude is within -90 and 90, longitude within -180 and 180");
      continue;
    }
    double a = sin((lat2 - lat1) * kDegree / 2), b = sin((lon2 - lon1) * kDegree / 2);
    double h = a * a + cos(lat1 * kDegree) * cos(lat2 * kDegree) * b * b;
    out[i] = 2 * kEarthRadius * asin(sqrt(h < 1 ? h : 1));
  }
}

/* "<row>:<column>" of a grid with 10^digits cells a degree: a text made by the function, and NULL for no place. */
static void cell(const ts_host* host, uint64_t rows, const ts_column* args, ts_result* result) {
  ts_text* out = (ts_text*)result->values;
  for (uint64_t i = 0; i < rows; ++i) {
    if (!result->valid[i]) continue;
    double lat = ts_float64(&args[0], i), lon = ts_float64(&args[1], i);
    int64_t digits = ts_int64(&args[2], i);
    if (digits < 0 || digits > 6) {
      host->fail(host->self, i, "geo.cell: 0 to 6 digits");
      continue;
    }
    if (!is_place(lat, lon)) {
      result->valid[i] = 0;
      continue;
    }
    double scale = pow(10, (double)digits);
    char text[64];
    int n = snprintf(text, sizeof text, "%lld:%lld", (long long)floor(lat * scale), (long long)floor(lon * scale));
    char* kept = (char*)host->allocate(host->self, (uint64_t)n);
    memcpy(kept, text, (size_t)n);
    out[i].data = kept;
    out[i].size = (uint64_t)n;
  }
}

static const uint32_t kTwoPlaces[] = {TS_FLOAT64, TS_FLOAT64, TS_FLOAT64, TS_FLOAT64};
static const uint32_t kPlaceAndDigits[] = {TS_FLOAT64, TS_FLOAT64, TS_INT64};

static const ts_scalar kScalars[] = {
    {sizeof(ts_scalar), 0, "distance", "Metres between two places, given as latitude and longitude in degrees.", 4,
     TS_FLOAT64, kTwoPlaces, distance},
    {sizeof(ts_scalar), 0, "cell", "The cell of a place in a grid of 10^digits cells a degree; NULL if it is no place.", 3,
     TS_STRING, kPlaceAndDigits, cell},
};

static const ts_module kModule = {
    .abi = TWINSPAN_NATIVE_ABI,
    .size = sizeof(ts_module),
    .name = "geo",
    .doc = "Places on the earth.",
    .scalar_count = sizeof kScalars / sizeof kScalars[0],
    .scalars = kScalars,
};

const ts_module* twinspan_native_module(void) { return &kModule; }
