#include <gmock/gmock.h>

#include <string>

#include "http/gzip.h"
#include "http/parser.h"

namespace ems {
namespace {

using State = RequestParser::State;
constexpr RequestParser::Limits kLimits = {1000, 500};

// Feeds bytes to a new parser and returns the code of its error, 0 for a whole request, -1 for a part.
int CodeOf(std::string_view bytes) {
  RequestParser parser(kLimits);
  parser.Feed(bytes);
  if (parser.state() == State::kError) return parser.error_code();
  return parser.state() == State::kDone ? 0 : -1;
}

std::string Post(std::string_view headers, std::string_view body) {
  return std::string("POST / HTTP/1.1\r\nHost: h\r\n").append(headers).append("\r\n").append(body);
}

TEST(RequestParser, ReadsARequestByteByByte) {
  const std::string bytes = "POST /a?b=c HTTP/1.1\r\nHOST: h\r\nX-A:  1 \r\nx-a: 2\r\nContent-Length: 3\r\n\r\nxyzGET";
  RequestParser parser(kLimits);
  size_t taken = 0;
  while (parser.state() != State::kDone) taken += parser.Feed(std::string_view(bytes).substr(taken, 1));
  EXPECT_EQ(bytes.substr(taken), "GET");
  EXPECT_TRUE(parser.keep_alive());
  const HttpRequest request = parser.TakeRequest();
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.target, "/a?b=c");
  EXPECT_EQ(request.headers.at("x-a"), "1, 2");
  EXPECT_EQ(request.body, "xyz");
}

TEST(RequestParser, ReadsChunks) {
  RequestParser parser(kLimits);
  parser.Feed(Post("Transfer-Encoding: chunked\r\n", "3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n"));
  ASSERT_EQ(parser.state(), State::kDone);
  EXPECT_EQ(parser.TakeRequest().body, "abc0123456789");
}

TEST(RequestParser, RefusesChunksThatAreMalformed) {
  const std::string chunked = "Transfer-Encoding: chunked\r\n";
  EXPECT_EQ(CodeOf(Post(chunked, "x\r\n")), 400);
  EXPECT_EQ(CodeOf(Post(chunked, "-1\r\n")), 400);
  EXPECT_EQ(CodeOf(Post(chunked, "\r\n")), 400);
  EXPECT_EQ(CodeOf(Post(chunked, "3\r\nabcd\r\n")), 400);
  EXPECT_EQ(CodeOf(Post(chunked, "3;" + std::string(600, 'a'))), 431);
  EXPECT_EQ(CodeOf(Post(chunked, "ffffffffffffffffff\r\n")), 400);
  EXPECT_EQ(CodeOf(Post(chunked, "ffffffffffffffff\r\n")), 413);
  EXPECT_EQ(CodeOf(Post(chunked, "258\r\n" + std::string(600, 'a') + "\r\n258\r\n")), 413);
  EXPECT_EQ(CodeOf(Post(chunked, "0\r\n" + std::string(600, 'a'))), 431);
}

TEST(RequestParser, KeepsConnectionsByVersionAndHeader) {
  const auto keeps = [](std::string_view bytes) {
    RequestParser parser(kLimits);
    parser.Feed(bytes);
    EXPECT_EQ(parser.state(), State::kDone);
    return parser.keep_alive();
  };
  EXPECT_TRUE(keeps("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.1\r\nHost: h\r\nConnection: x, Close\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.0\r\n\r\n"));
  EXPECT_TRUE(keeps("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
}

TEST(RequestParser, TakesWholeUrlsAndEmptyLines) {
  RequestParser parser(kLimits);
  parser.Feed("\r\nGET http://h:1/x HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_EQ(parser.state(), State::kDone);
  EXPECT_EQ(parser.TakeRequest().target, "/x");
}

TEST(RequestParser, RefusesWhatIsNoRequest) {
  EXPECT_EQ(CodeOf("\x16\x03\x01 tls\n"), 501);
  EXPECT_EQ(CodeOf("GET /\r\n\r\n"), 505);
  EXPECT_EQ(CodeOf("GET / HTTP/1.1\r\nHost: h\n\n"), 400) << "a proxy may see other ends of lines";
  EXPECT_EQ(CodeOf("GET / x HTTP/1.1\r\n"), 400);
  EXPECT_EQ(CodeOf("GET x HTTP/1.1\r\n"), 400);
  EXPECT_EQ(CodeOf("GET /\x01 HTTP/1.1\r\n"), 400);
  EXPECT_EQ(CodeOf("GET / HTTP/2.0\r\n\r\n"), 505);
  EXPECT_EQ(CodeOf("BREW / HTTP/1.1\r\n"), 501);
  EXPECT_EQ(CodeOf("GET / HTTP/1.1\r\n\r\n"), 400) << "no Host";
  EXPECT_EQ(CodeOf("GET / HTTP/1.1\r\nHost : h\r\n"), 400);
  EXPECT_EQ(CodeOf("GET / HTTP/1.1\r\nHost: h\r\n folded\r\n"), 400);
  EXPECT_EQ(CodeOf(Post(std::string("X: a\0b\r\n", 8), "")), 400);
}

// RFC 9112, section 6.3: where two servers may see different ends of a body.
TEST(RequestParser, RefusesBodiesOfTwoLengths) {
  EXPECT_EQ(CodeOf(Post("Content-Length: 1\r\nContent-Length: 2\r\n", "ab")), 400);
  EXPECT_EQ(CodeOf(Post("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", "")), 400);
  EXPECT_EQ(CodeOf(Post("Content-Length: +1\r\n", "a")), 400);
  EXPECT_EQ(CodeOf(Post("Transfer-Encoding: gzip, chunked\r\n", "")), 501);
  EXPECT_EQ(CodeOf("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
}

TEST(RequestParser, HoldsItsLimits) {
  EXPECT_EQ(CodeOf(Post("Content-Length: 1000\r\n", std::string(1000, 'a'))), 0);
  EXPECT_EQ(CodeOf(Post("Content-Length: 1001\r\n", "")), 413);
  EXPECT_EQ(CodeOf("GET /" + std::string(600, 'a')), 431);
  EXPECT_EQ(CodeOf(Post("X: " + std::string(500, 'a') + "\r\n", "")), 431);
}

TEST(RequestParser, CountsTheMemoryOfHeadersAndBody) {
  RequestParser parser({100, 100000});
  parser.Feed("POST / HTTP/1.1\r\nHost: h\r\nA: " + std::string(50000, 'a'));
  EXPECT_GE(parser.buffered(), 50000);
  EXPECT_LE(parser.buffered(), 51000);
  const size_t before = parser.buffered();
  parser.Feed("\r\nB: b\r\nC: c\r\nContent-Length: 100\r\n\r\n");
  EXPECT_GE(parser.buffered(), before + 200);  // short headers cost more than their bytes
  const size_t headers = parser.buffered();
  parser.Feed(std::string(100, 'b'));
  EXPECT_GE(parser.buffered(), headers + 80);  // some bytes have room in the object
  parser.Reset();
  EXPECT_LE(parser.buffered(), 100);  // the body's memory, for the next one
}

TEST(RequestParser, AsksForABodyThatTheClientHoldsBack) {
  RequestParser parser(kLimits);
  parser.Feed(Post("Content-Length: 3\r\nExpect: 100-continue\r\n", ""));
  EXPECT_TRUE(parser.TakeContinue());
  EXPECT_FALSE(parser.TakeContinue());
  EXPECT_EQ(CodeOf(Post("Expect: pay\r\n", "")), 417);
  EXPECT_EQ(CodeOf(Post("Content-Length: 1001\r\nExpect: 100-continue\r\n", "")), 413);
}

std::string Gzipped(std::string_view body, size_t cut = 0) {
  std::string bytes = *Deflate(body);
  bytes.resize(bytes.size() - cut);
  return Post("Content-Encoding: gzip\r\nContent-Length: " + std::to_string(bytes.size()) + "\r\n", bytes);
}

TEST(RequestParser, InflatesBodies) {
  RequestParser parser(kLimits);
  parser.Feed(Gzipped("some text"));
  ASSERT_EQ(parser.state(), State::kDone);
  EXPECT_EQ(parser.TakeRequest().body, "some text");
  EXPECT_EQ(CodeOf(Gzipped(std::string(1000, 'a'))), 0);
  EXPECT_EQ(CodeOf(Gzipped(std::string(1001, 'a'))), 413);
  EXPECT_EQ(CodeOf(Gzipped("text", 1)), 400) << "cut";
  EXPECT_EQ(CodeOf(Post("Content-Encoding: gzip\r\nContent-Length: 4\r\n", "text")), 400);
  EXPECT_EQ(CodeOf(Post("Content-Encoding: br\r\nContent-Length: 4\r\n", "text")), 415);
}

TEST(Gzip, InflatesMembersInARowAndNoOtherBytes) {
  std::string out;
  Inflater inflater;
  EXPECT_EQ(inflater.Append(*Deflate("a") + *Deflate("b"), 10, &out), Inflater::Result::kOk);
  EXPECT_EQ(out, "ab");
  EXPECT_TRUE(inflater.done());
  EXPECT_EQ(inflater.Append("x", 10, &out), Inflater::Result::kOk) << "may be the start of a member";
  EXPECT_FALSE(inflater.done());
  EXPECT_EQ(inflater.Append("yz", 10, &out), Inflater::Result::kBroken);
}

// A bomb of 100 MB in 100 kB must be noticed at the limit, not after it.
TEST(Gzip, StopsABombAtTheLimit) {
  const std::string bomb = *Deflate(std::string(100U << 20, '\0'));
  std::string out;
  Inflater inflater;
  EXPECT_EQ(inflater.Append(bomb, 1U << 20, &out), Inflater::Result::kTooLarge);
  EXPECT_LE(out.size(), 1U << 20);
}

TEST(Gzip, ReadsAcceptEncoding) {
  EXPECT_TRUE(AcceptsGzip("deflate, GZIP;q=0.5"));
  EXPECT_TRUE(AcceptsGzip("*"));
  EXPECT_FALSE(AcceptsGzip("*, gzip;q=0"));
  EXPECT_FALSE(AcceptsGzip("gzip; q=0.0"));
  EXPECT_FALSE(AcceptsGzip("gzip;q=x"));
  EXPECT_FALSE(AcceptsGzip("br"));
  EXPECT_FALSE(AcceptsGzip(""));
}

}  // namespace
}  // namespace ems
