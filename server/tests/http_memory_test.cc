// The HTTP server without memory: functions of zlib fail on demand.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <zlib.h>

#include <atomic>
#include <limits>
#include <string>

#include "http/gzip.h"
#include "http/server.h"
#include "http_client.h"

namespace {

std::atomic<bool> no_deflate{false};
std::atomic<bool> no_inflate{false};
std::atomic<bool> no_bound{false};

// Returns zlib's function of this name, behind the ones below.
template <typename Function>
Function* Next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

int deflateInit2_(z_streamp stream, int level, int method, int bits, int memory, int strategy, const char* version,
                  int size) {
  if (no_deflate) return Z_MEM_ERROR;
  return Next<decltype(deflateInit2_)>("deflateInit2_")(stream, level, method, bits, memory, strategy, version, size);
}

int inflateInit2_(z_streamp stream, int bits, const char* version, int size) {
  if (no_inflate) return Z_MEM_ERROR;
  return Next<decltype(inflateInit2_)>("inflateInit2_")(stream, bits, version, size);
}

uLong deflateBound(z_streamp stream, uLong length) {
  if (no_bound) return std::numeric_limits<uLong>::max();  // a string of this size throws
  return Next<decltype(deflateBound)>("deflateBound")(stream, length);
}

namespace ems {
namespace {

class HttpMemoryTest : public testing::Test {
 protected:
  HttpMemoryTest() {
    HttpServer::Options options;
    options.address = "127.0.0.1";
    options.port = 0;
    absl::StatusOr<std::unique_ptr<HttpServer>> server = HttpServer::Start(options, [](const HttpRequest& request) {
      HttpResponse response;
      response.body = request.body;
      return response;
    });
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  ~HttpMemoryTest() override { no_deflate = no_inflate = no_bound = false; }

  ClientReply Post(const std::string& body, const std::string& headers) const {
    return Client(server_->port())
        .Call("POST / HTTP/1.1\r\nHost: h\r\n" + headers + "Content-Length: " + std::to_string(body.size()) +
              "\r\n\r\n" + body);
  }

  std::unique_ptr<HttpServer> server_;
  const std::string text_ = std::string(5000, 'a');
};

TEST_F(HttpMemoryTest, AReplyThatCannotBeCompressedIsSentAsItIs) {
  no_deflate = true;
  const ClientReply reply = Post(text_, "Accept-Encoding: gzip\r\n");
  EXPECT_EQ(reply.code, 200);
  EXPECT_EQ(reply.headers.count("content-encoding"), 0);
  EXPECT_EQ(reply.body, text_);
  EXPECT_EQ(Deflate(text_), std::nullopt);
}

TEST_F(HttpMemoryTest, ABodyThatCannotBeInflatedIsRefused) {
  const std::string zipped = *Deflate(text_);
  no_inflate = true;
  const ClientReply reply = Post(zipped, "Content-Encoding: gzip\r\n");
  EXPECT_EQ(reply.code, 503);
  EXPECT_THAT(reply.body, testing::HasSubstr("no memory to inflate"));
}

TEST_F(HttpMemoryTest, AReplyThatCannotBeMadeIsAnError) {
  no_bound = true;
  EXPECT_EQ(Post(text_, "Accept-Encoding: gzip\r\n").code, 500);
  EXPECT_EQ(Post("a", "").code, 200);
}

}  // namespace
}  // namespace ems
