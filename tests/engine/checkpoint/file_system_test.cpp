// The real file system, in a directory of its own.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "engine/checkpoint/file_system.h"

namespace twinspan::engine {
namespace {

class PosixFileSystemTest : public ::testing::Test {
 protected:
  PosixFileSystemTest() {
    std::string name = (std::filesystem::temp_directory_path() / "twinspan-XXXXXX").string();
    directory = ::mkdtemp(name.data());
  }
  ~PosixFileSystemTest() override { std::filesystem::remove_all(directory); }

  PosixFileSystem files;
  std::string directory;
};

TEST_F(PosixFileSystemTest, WritesReadsReplacesAndRemoves) {
  ASSERT_TRUE(files.make_directories(directory + "/a/b"));
  ASSERT_TRUE(files.write_and_sync(directory + "/a/b/f", {"one", "", "two"}));
  EXPECT_EQ(files.read(directory + "/a/b/f").value(), "onetwo");
  ASSERT_TRUE(files.write_and_sync(directory + "/a/b/f", {"3"}));
  EXPECT_EQ(files.read(directory + "/a/b/f").value(), "3");
  ASSERT_TRUE(files.append_and_sync(directory + "/a/b/f", "45"));
  ASSERT_TRUE(files.append_and_sync(directory + "/a/b/g", "6"));
  EXPECT_EQ(files.read(directory + "/a/b/f").value(), "345");
  auto names = files.list(directory + "/a/b").value();
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{"f", "g"}));
  ASSERT_TRUE(files.remove_all(directory + "/a"));
  EXPECT_FALSE(files.exists(directory + "/a"));
  ASSERT_TRUE(files.remove_all(directory + "/a"));  // nothing to remove is no error
  EXPECT_GT(files.free_bytes(directory), 0u);
}

TEST_F(PosixFileSystemTest, WhatIsNotThereIsNotFound) {
  EXPECT_EQ(files.read(directory + "/none").error().kind, ErrorKind::not_found);
  EXPECT_TRUE(files.list(directory + "/none").value().empty());
  EXPECT_FALSE(files.rename(directory + "/none", directory + "/x"));
  EXPECT_FALSE(files.write_and_sync(directory + "/none/f", {"x"}));
}

TEST_F(PosixFileSystemTest, ReplaceFileLeavesNoTemporary) {
  ASSERT_TRUE(replace_file(files, directory, "name", "old"));
  ASSERT_TRUE(replace_file(files, directory, "name", "new"));
  EXPECT_EQ(files.read(directory + "/name").value(), "new");
  EXPECT_EQ(files.list(directory).value().size(), 1u);
}

TEST_F(PosixFileSystemTest, TheSecondOwnerOfADirectoryIsRefused) {
  auto first = files.lock_directory(directory);
  ASSERT_TRUE(first);
  PosixFileSystem other;
  const auto second = other.lock_directory(directory);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::conflict);
  first.value().reset();
  EXPECT_TRUE(other.lock_directory(directory));
}

}  // namespace
}  // namespace twinspan::engine
