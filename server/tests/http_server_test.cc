#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "http/budget.h"
#include "http/gzip.h"
#include "http/server.h"
#include "http_client.h"

namespace ems {
namespace {

using ::testing::HasSubstr;

constexpr char kGet[] = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";

std::string Post(std::string_view body, std::string_view headers = "") {
  return std::string("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: ")
      .append(std::to_string(body.size()))
      .append("\r\n")
      .append(headers)
      .append("\r\n")
      .append(body);
}

HttpServer::Options Loopback() {
  HttpServer::Options options;
  options.address = "127.0.0.1";
  options.port = 0;
  options.loops = 2;
  return options;
}

// Says what the request was: "METHOD TARGET BODY".
HttpResponse Echo(const HttpRequest& request) {
  HttpResponse response;
  response.body = request.method + " " + request.target + " " + request.body;
  return response;
}

// Larger than what the kernel buffers.
HttpResponse LargeReply(const HttpRequest& /*request*/) {
  HttpResponse response;
  response.body = std::string(32U << 20, 'a');
  return response;
}

std::unique_ptr<HttpServer> Serve(const HttpServer::Options& options, HttpServer::Handler handler = Echo) {
  absl::StatusOr<std::unique_ptr<HttpServer>> server = HttpServer::Start(options, std::move(handler));
  EXPECT_TRUE(server.ok()) << server.status();
  return *std::move(server);
}

// A handler that waits: it tells how many requests entered, and answers when it is released.
class Gate {
 public:
  HttpServer::Handler handler() {
    return [this](const HttpRequest& request) {
      ++entered_;
      opened_.wait();
      ++left_;
      return Echo(request);
    };
  }
  void AwaitEntered(int count) const {
    while (entered_ < count) std::this_thread::yield();
  }
  void Open() { open_.set_value(); }
  int entered() const { return entered_; }
  int left() const { return left_; }

 private:
  std::atomic<int> entered_{0};
  std::atomic<int> left_{0};
  std::promise<void> open_;
  std::shared_future<void> opened_ = open_.get_future().share();
};

TEST(HttpServer, AnswersManyRequestsOnAConnection) {
  const auto server = Serve(Loopback());
  Client client(server->port());
  for (int i = 0; i < 3; ++i) {
    const ClientReply reply = client.Call(Post(std::to_string(i)));
    EXPECT_EQ(reply.code, 200);
    EXPECT_EQ(reply.body, "POST /x " + std::to_string(i));
    EXPECT_EQ(reply.headers.at("content-type"), "application/json");
    EXPECT_THAT(reply.headers.at("date"), HasSubstr(" GMT"));
  }
}

TEST(HttpServer, AnswersRequestsSentAtOnceInTheirOrder) {
  const auto server = Serve(Loopback());
  Client client(server->port());
  std::string all;
  for (int i = 0; i < 500; ++i) all += Post(std::to_string(i));
  client.Send(all);
  for (int i = 0; i < 500; ++i) ASSERT_EQ(client.Read().body, "POST /x " + std::to_string(i));
}

TEST(HttpServer, ClosesAsTheClientAsks) {
  const auto server = Serve(Loopback());
  Client old(server->port());
  EXPECT_EQ(old.Call("GET / HTTP/1.0\r\n\r\n").body, "GET / ");
  EXPECT_TRUE(old.AtEnd());
  Client kept(server->port());
  EXPECT_EQ(kept.Call("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").headers.at("connection"), "keep-alive");
  EXPECT_EQ(kept.Call("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").headers.at("connection"), "close");
  EXPECT_TRUE(kept.AtEnd());
}

TEST(HttpServer, AnswersAClientThatHasEndedItsSide) {
  const auto server = Serve(Loopback());
  Client client(server->port());
  client.Send(kGet);
  client.EndSending();
  EXPECT_EQ(client.Read().code, 200);
  EXPECT_TRUE(client.AtEnd());
}

TEST(HttpServer, SendsNoBodyForHead) {
  const auto server = Serve(Loopback());
  Client client(server->port());
  client.Send("HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(client.Read(/*head=*/true).headers.at("content-length"), "8");
  EXPECT_EQ(client.Call(kGet).body, "GET /x ");
}

TEST(HttpServer, AsksForABodyThatTheClientHoldsBack) {
  const auto server = Serve(Loopback());
  Client client(server->port());
  client.Send("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.ReadLine(), "HTTP/1.1 100 Continue");
  EXPECT_EQ(client.ReadLine(), "");
  EXPECT_EQ(client.Call("ab").body, "POST /x ab");
}

TEST(HttpServer, ReadsAndWritesGzip) {
  const auto server = Serve(Loopback());
  Client client(server->port());
  const std::string text(5000, 'a');
  const ClientReply reply = client.Call(Post(*Deflate(text), "Content-Encoding: gzip\r\nAccept-Encoding: gzip\r\n"));
  EXPECT_EQ(reply.headers.at("content-encoding"), "gzip");
  EXPECT_EQ(reply.headers.at("vary"), "Accept-Encoding");
  EXPECT_LT(reply.body.size(), 200);
  std::string body;
  Inflater inflater;
  ASSERT_EQ(inflater.Append(reply.body, 1U << 20, &body), Inflater::Result::kOk);
  EXPECT_EQ(body, "POST /x " + text);
  EXPECT_EQ(client.Call(Post("short", "Accept-Encoding: gzip\r\n")).body, "POST /x short");
  EXPECT_EQ(client.Call(Post(text)).body, "POST /x " + text);
}

// The headers are TensorFlow Serving's (3.1 of the facts).
TEST(HttpServer, LetsOtherOriginsInWhereAsked) {
  HttpServer::Options options = Loopback();
  const auto closed = Serve(options);
  EXPECT_EQ(Client(closed->port()).Call(kGet).headers.count("access-control-allow-origin"), 0);
  options.cors = true;
  const auto open = Serve(options);
  Client client(open->port());
  const ClientReply preflight = client.Call("OPTIONS /x HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(preflight.code, 200);
  EXPECT_EQ(preflight.body, "");
  EXPECT_EQ(preflight.headers.at("access-control-allow-methods"), "POST, GET");
  EXPECT_EQ(preflight.headers.at("access-control-allow-headers"), "Content-Type");
  EXPECT_EQ(client.Call(kGet).headers.at("access-control-allow-origin"), "*");
}

TEST(HttpServer, SaysWhyItRefusesAndCloses) {
  HttpServer::Options options = Loopback();
  options.most_body_bytes = 1000;
  const auto server = Serve(options);
  Client client(server->port());
  const ClientReply reply = client.Call(Post(std::string(1001, 'a')));
  EXPECT_EQ(reply.code, 413);
  EXPECT_EQ(reply.body, "{\n    \"error\": \"The request's body is too large.\"\n}");
  EXPECT_EQ(reply.headers.at("connection"), "close");
  EXPECT_TRUE(client.AtEnd());
}

// A server that closes at once resets the connection, and the client never reads why.
TEST(HttpServer, LetsAClientFinishSendingARefusedBody) {
  HttpServer::Options options = Loopback();
  options.most_body_bytes = 1000;
  const auto server = Serve(options);
  Client client(server->port());
  EXPECT_TRUE(client.Send(Post(std::string(30U << 20, 'a'))));
  EXPECT_EQ(client.Read().code, 413);
}

TEST(HttpServer, HoldsTheMemoryOfAllBodies) {
  HttpServer::Options options = Loopback();
  options.threads = 1;
  options.most_buffered_bytes = 5U << 20;  // a buffer is up to twice its body
  Gate gate;
  const auto server = Serve(options, gate.handler());
  Client first(server->port());
  first.Send(Post(std::string(2U << 20, 'a')));
  gate.AwaitEntered(1);
  Client refused(server->port());  // open to the end: it holds no memory either
  EXPECT_EQ(refused.Call(Post(std::string(2U << 20, 'a'))).code, 503);
  gate.Open();
  EXPECT_EQ(first.Read().code, 200);
  EXPECT_EQ(Client(server->port()).Call(Post(std::string(2U << 20, 'a'))).code, 200);
}

TEST(HttpServer, HoldsTheMemoryOfAllHeaders) {
  HttpServer::Options options = Loopback();
  options.most_buffered_bytes = 100 << 10;
  const auto server = Serve(options);
  const std::string header = "GET / HTTP/1.1\r\nHost: h\r\nA: " + std::string(60 << 10, 'a');
  std::optional<Client> first;
  // Refused as soon as the loop of the first has read it. Of two that are read at once, the first may be refused.
  int code = 200;
  for (int i = 0; i < 5000 && code == 200; ++i) {
    if (i % 50 == 0) first.emplace(server->port()).Send(header);
    code = Client(server->port()).Call(header + "\r\n\r\n").code;
  }
  EXPECT_EQ(code, 503);
  first->Send("\r\n\r\n");
  EXPECT_EQ(first->Read().code, 200);
  EXPECT_EQ(Client(server->port()).Call(header + "\r\n\r\n").code, 200);
}

TEST(Budget, KeepsAQuarterMoreForSmallBodies) {
  constexpr size_t kSmall = 16U << 10;
  Budget budget(16 * kSmall);
  Budget::Charge large(budget);
  EXPECT_TRUE(large.Resize(16 * kSmall));
  EXPECT_FALSE(Budget::Charge(budget).Resize(kSmall + 1));
  std::vector<Budget::Charge> small;
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(small.emplace_back(budget).Resize(kSmall));
  EXPECT_FALSE(Budget::Charge(budget).Resize(kSmall));
}

TEST(Budget, HasRoomForWhatIsAlone) {
  Budget budget(100);
  Budget::Charge alone(budget);
  EXPECT_TRUE(alone.Resize(1U << 20));
  EXPECT_FALSE(Budget::Charge(budget).Resize(1));
  alone.Resize(0);
  EXPECT_TRUE(Budget::Charge(budget).Resize(100));
}

TEST(HttpServer, RefusesRequestsBeyondItsQueueButAnswersGet) {
  HttpServer::Options options = Loopback();
  options.threads = 1;
  options.queue = 1;
  Gate gate;
  const auto server = Serve(options, [&](const HttpRequest& request) {
    return request.method == "GET" ? Echo(request) : gate.handler()(request);
  });
  Client computes(server->port());
  computes.Send(Post("1"));
  gate.AwaitEntered(1);
  // The queue holds one of these; which one, their loops decide.
  std::vector<std::unique_ptr<Client>> others;
  for (int i = 0; i < 3; ++i) {
    others.push_back(std::make_unique<Client>(server->port()));
    others.back()->Send(Post("2"));
  }
  EXPECT_EQ(Client(server->port()).Call(kGet).code, 200);
  gate.Open();
  int refused = 0;
  for (const auto& client : others) {
    const ClientReply reply = client->Read();
    refused += reply.code == 429 ? 1 : 0;
    if (reply.code == 429) {
      EXPECT_EQ(reply.headers.at("connection"), "keep-alive");
    }
  }
  EXPECT_GE(refused, 1);
  EXPECT_EQ(computes.Read().code, 200);
}

// The loop's own thread answers the first request, which turns out to be slow.
TEST(HttpServer, ASlowAnswerHoldsUpNoOtherConnection) {
  HttpServer::Options options = Loopback();
  options.loops = 1;
  Gate gate;
  const auto server = Serve(options, [&](const HttpRequest& request) {
    return request.body == "slow" ? gate.handler()(request) : Echo(request);
  });
  Client slow(server->port());
  slow.Send(Post("slow"));
  gate.AwaitEntered(1);
  Client quick(server->port());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(quick.Call(Post("quick")).code, 200);
  gate.Open();
  EXPECT_EQ(slow.Read().code, 200);
  EXPECT_EQ(slow.Call(Post("quick")).code, 200);
}

TEST(HttpServer, ForgetsClientsThatAreGone) {
  HttpServer::Options options = Loopback();
  options.threads = 2;
  Gate gate;
  const auto server = Serve(options, gate.handler());
  Client closes(server->port());
  closes.Send(Post("1"));
  Client resets(server->port());
  resets.Send(Post("2"));
  gate.AwaitEntered(2);
  closes.Close();
  resets.Reset();
  gate.Open();
  EXPECT_EQ(Client(server->port()).Call(Post("3")).code, 200);
}

TEST(HttpServer, ClosesIdleAndSlowConnections) {
  HttpServer::Options options = Loopback();
  options.idle = absl::Milliseconds(500);  // longer than this thread may wait for a CPU
  const auto server = Serve(options);
  Client idle(server->port());
  EXPECT_TRUE(idle.AtEnd());
  Client after(server->port());
  EXPECT_EQ(after.Call(kGet).code, 200);
  EXPECT_TRUE(after.AtEnd());
  // Slow loris: a byte each 10 ms would keep a timeout between bytes from ending.
  Client slow(server->port());
  bool open = true;
  for (int i = 0; i < 3000 && open; ++i) {
    open = slow.Send(i == 0 ? "GET / HTTP/1.1\r\nX: " : "a");
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_FALSE(open);
}

// What a client has sent so far buys it no time for a pause.
TEST(HttpServer, ClosesAClientThatStopsInItsBody) {
  HttpServer::Options options = Loopback();
  options.idle = absl::Milliseconds(500);
  const auto server = Serve(options);
  const std::string begun = Post(std::string(4U << 20, 'a')).substr(0, 64U << 10);  // takes long with a sanitizer
  Client client(server->port());
  client.Send(begun);
  EXPECT_EQ(client.Read().code, 408);
}

TEST(HttpServer, TellsASlowClientWhy) {
  HttpServer::Options options = Loopback();
  options.idle = absl::Milliseconds(500);
  const auto server = Serve(options);
  EXPECT_EQ(Client(server->port()).Call("POST / HTTP/1.1\r\n").code, 408);
}

TEST(HttpServer, ClosesConnectionsThatTakeNoReply) {
  HttpServer::Options options = Loopback();
  options.idle = absl::Milliseconds(100);
  const auto server = Serve(options, LargeReply);
  Client client(server->port(), 4096);
  client.Send(kGet);
  // The next client's requests are answered meanwhile; the first finds its connection cut.
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  EXPECT_LT(client.Read().body.size(), 32U << 20);
}

TEST(HttpServer, HoldsTheMemoryOfAllReplies) {
  HttpServer::Options options = Loopback();
  options.most_buffered_bytes = 40U << 20;
  options.cors = true;
  const auto server = Serve(options, LargeReply);
  Client reads_late(server->port(), 4096);
  reads_late.Send(kGet);
  EXPECT_EQ(reads_late.ReadLine(), "HTTP/1.1 200 OK");
  Client refused(server->port());
  const ClientReply reply = refused.Call(kGet);
  EXPECT_EQ(reply.code, 503);
  EXPECT_EQ(reply.body, "{\n    \"error\": \"The server has too many large replies. Try again.\"\n}");
  EXPECT_EQ(reply.headers.at("connection"), "keep-alive");
  EXPECT_EQ(reply.headers.at("access-control-allow-origin"), "*");
  // The memory is free again as soon as the server has seen the close, and after a reply.
  reads_late.Close();
  int code = 503;
  for (int i = 0; i < 1000 && code == 503; ++i) code = refused.Call(kGet).code;
  EXPECT_EQ(code, 200);
  EXPECT_EQ(Client(server->port()).Call(kGet).body.size(), 32U << 20);
}

TEST(HttpServer, SendsAReplyLargerThanItsMemoryAlone) {
  HttpServer::Options options = Loopback();
  options.most_buffered_bytes = 1U << 20;
  const auto server = Serve(options, LargeReply);
  EXPECT_EQ(Client(server->port()).Call(kGet).body.size(), 32U << 20);
}

TEST(HttpServer, WritesLargeRepliesInParts) {
  const auto server = Serve(Loopback());
  const std::string body(20U << 20, 'b');
  Client client(server->port(), 4096);
  client.Send(Post(body));
  const ClientReply reply = client.Read();
  EXPECT_EQ(reply.body.size(), body.size() + 8);
  EXPECT_TRUE(client.Call(kGet).code == 200);
}

TEST(HttpServer, HoldsTwoThousandConnectionsAndNoMore) {
  HttpServer::Options options = Loopback();
  options.most_connections = 2000;
  options.queue = 2000;
  const auto server = Serve(options);
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 2000; ++i) clients.push_back(std::make_unique<Client>(server->port()));
  for (const auto& client : clients) client->Send(kGet);
  for (const auto& client : clients) ASSERT_EQ(client->Read().code, 200);
  Client more(server->port());
  EXPECT_TRUE(more.AtEnd());
  clients.front()->Close();
  // The place is free again as soon as the server has seen the close.
  int code = 0;
  for (int i = 0; i < 1000 && code != 200; ++i) code = Client(server->port()).Call(kGet).code;
  EXPECT_EQ(code, 200);
}

TEST(HttpServer, AnswersWhatItHasReadBeforeItEnds) {
  Gate gate;
  HttpServer::Options options = Loopback();
  options.threads = 1;
  options.cors = true;  // answers OPTIONS without the handler
  auto server = Serve(options, gate.handler());
  const int port = server->port();
  Client idle(port);
  EXPECT_EQ(idle.Call("OPTIONS / HTTP/1.1\r\nHost: h\r\n\r\n").code, 200);
  Client waits(port);
  waits.Send(Post("1"));
  gate.AwaitEntered(1);
  Client partial(port);
  partial.Send("GET");
  std::thread end([&] { server.reset(); });
  EXPECT_TRUE(partial.AtEnd());
  EXPECT_EQ(gate.left(), 0);
  gate.Open();
  const ClientReply reply = waits.Read();
  EXPECT_EQ(reply.code, 200);
  EXPECT_EQ(reply.headers.at("connection"), "close");
  EXPECT_TRUE(waits.AtEnd());
  end.join();
}

TEST(HttpServer, FailsNoRequestThatItTookWhenItEnds) {
  for (int round = 0; round < 20; ++round) {
    auto server = Serve(Loopback());
    std::atomic<int> answered{0};
    std::atomic<int> failed{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
      // Connected here, as a thread may begin when the server has ended.
      threads.emplace_back([&, connected = std::make_unique<Client>(server->port())] {
        Client& client = *connected;
        for (int code = 200; code != 0;) {  // until the connection ends
          code = client.Call(Post("x")).code;
          ++(code == 200 || code == 0 ? answered : failed);
        }
      });
    }
    while (answered < 100) std::this_thread::yield();
    server.reset();
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(failed, 0);
  }
}

TEST(HttpServer, AnswersAHandlerThatThrows) {
  const auto server = Serve(Loopback(), [](const HttpRequest&) -> HttpResponse { throw std::bad_alloc(); });
  EXPECT_EQ(Client(server->port()).Call(kGet).code, 500);
}

TEST(HttpServer, NamesThePortThatIsTaken) {
  const auto server = Serve(Loopback());
  HttpServer::Options options = Loopback();
  options.port = server->port();
  const auto second = HttpServer::Start(options, Echo);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(std::to_string(options.port)));
}

TEST(HttpServer, ListensOnAllAddresses) {
  HttpServer::Options options = Loopback();
  options.address = "";
  const auto server = Serve(options);
  EXPECT_EQ(Client(server->port()).Call(kGet).code, 200);
}

// As "[::1]", which a machine need not have.
TEST(HttpServer, TakesAnAddressInBrackets) {
  HttpServer::Options options = Loopback();
  options.address = "[127.0.0.1]";
  const auto server = Serve(options);
  EXPECT_EQ(Client(server->port()).Call(kGet).code, 200);
}

TEST(HttpServer, RefusesAnAddressThatIsNotHere) {
  HttpServer::Options options = Loopback();
  options.address = "192.0.2.1";
  EXPECT_EQ(HttpServer::Start(options, Echo).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace ems
