#include "sidecar/ingest/endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/ingest/temp_dir.h"

namespace spanwatch::ingest {
namespace {

using ::testing::HasSubstr;

mode_t ModeOf(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777;
}

TEST(CheckEndpoint, Good) {
  for (const char* good :
       {"ipc:///tmp/x.sock", "tcp://127.0.0.1:5555", "tcp://127.1.2.3:*", "tcp://[::1]:1", "tcp://localhost:0"}) {
    EXPECT_TRUE(CheckEndpoint(good)) << good;
  }
  EXPECT_EQ(CheckEndpoint("ipc:///tmp/x.sock")->path, "/tmp/x.sock");
  EXPECT_EQ(CheckEndpoint("tcp://127.0.0.1:5555")->path, "");
}

TEST(CheckEndpoint, EachMistakeSaysWhatToDo) {
  const struct {
    std::string endpoint;
    const char* says;
  } cases[] = {
      {"", "begins with ipc:// or tcp://"},
      {"http://127.0.0.1:1", "begins with ipc:// or tcp://"},
      {"ipc://", "must be absolute"},
      {"ipc://relative.sock", "must be absolute"},
      {"ipc://@abstract", "must be absolute"},
      {"ipc:///" + std::string(107, 'x'), "108 bytes, a socket's may have 107"},
      {"tcp://127.0.0.1", "PORT"},
      {"tcp://127.0.0.1:65536", "up to 65535"},
      {"tcp://127.0.0.1:http", "PORT"},
      {"tcp://0.0.0.0:5555", "loopback only"},
      {"tcp://*:5555", "loopback only"},
      {"tcp://eth0:5555", "loopback only"},
      {"tcp://192.168.1.1:5555", "loopback only"},
      {"tcp://[::]:5555", "loopback only"},
      {"tcp://127.0.0.1.example.org:5555", "loopback only"},
  };
  for (const auto& test_case : cases) {
    const auto result = CheckEndpoint(test_case.endpoint);
    ASSERT_FALSE(result) << test_case.endpoint;
    EXPECT_THAT(result.error(), HasSubstr(test_case.says));
    EXPECT_THAT(result.error(), HasSubstr(test_case.endpoint));
  }
}

TEST(CheckEndpoint, NeverReplacesAFileThatIsNoSocket) {
  const TempDir dir;
  std::ofstream(dir.path("precious")) << "data";
  EXPECT_THAT(CheckEndpoint("ipc://" + dir.path("precious")).error(), HasSubstr("is not a socket"));
}

TEST(FindDefaultSocket, TakesTheFirstUsableDirectory) {
  const TempDir dir;
  SocketDirectories directories{dir.path("xdg"), dir.path("run"), dir.path("tmp")};
  std::filesystem::create_directory(dir.path("tmp"));
  const std::string own = dir.path("tmp") + "/spanwatch-" + std::to_string(::geteuid());
  EXPECT_EQ(FindDefaultSocket(directories)->path, own + "/spanwatch.sock");
  EXPECT_EQ(ModeOf(own), 0700u);

  std::filesystem::create_directory(dir.path("run"));
  EXPECT_EQ(FindDefaultSocket(directories)->path, dir.path("run") + "/spanwatch/spanwatch.sock");
  EXPECT_EQ(ModeOf(dir.path("run/spanwatch")), 0750u);

  std::filesystem::create_directory(dir.path("xdg"));
  EXPECT_EQ(FindDefaultSocket(directories)->path, dir.path("xdg") + "/spanwatch/spanwatch.sock");
  EXPECT_EQ(ModeOf(dir.path("xdg/spanwatch")), 0700u);
}

TEST(FindDefaultSocket, TrustsNoDirectoryThatOthersMayHaveMade) {
  const TempDir dir;
  const std::string own = dir.path() + "/spanwatch-" + std::to_string(::geteuid());
  const SocketDirectories directories{"", dir.path("missing"), dir.path()};

  ASSERT_EQ(::mkdir(own.c_str(), 0700), 0);
  ASSERT_EQ(::chmod(own.c_str(), 0777), 0);
  EXPECT_THAT(FindDefaultSocket(directories).error(), HasSubstr("other users may enter"));

  ASSERT_EQ(::rmdir(own.c_str()), 0);
  ASSERT_EQ(::symlink("/etc", own.c_str()), 0);
  EXPECT_THAT(FindDefaultSocket(directories).error(), HasSubstr("not a directory"));

  ASSERT_EQ(::unlink(own.c_str()), 0);
  if (::geteuid() != 0) return;  // only root can make a directory that belongs to another
  ASSERT_EQ(::mkdir(own.c_str(), 0700), 0);
  ASSERT_EQ(::chown(own.c_str(), 12345, 12345), 0);
  EXPECT_THAT(FindDefaultSocket(directories).error(), HasSubstr("belongs to another user"));
}

TEST(EndpointLock, OneHolderAtATime) {
  const TempDir dir;
  const Endpoint endpoint = *CheckEndpoint("ipc://" + dir.path("s"));
  {
    auto first = EndpointLock::Acquire(endpoint);
    ASSERT_TRUE(first) << first.error();
    EXPECT_THAT(EndpointLock::Acquire(endpoint).error(), HasSubstr("another sidecar is running on this socket"));
  }
  ASSERT_TRUE(std::filesystem::exists(dir.path("s.lock")));
  EXPECT_TRUE(EndpointLock::Acquire(endpoint)) << "a stale lock file does no harm";
}

}  // namespace
}  // namespace spanwatch::ingest
