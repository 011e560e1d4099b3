#include "grpc/health.h"

#include <grpcpp/server_context.h>
#include <grpcpp/support/async_stream.h>

#include <optional>
#include <utility>

#include "grpc/unary.h"

namespace ems {

namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

}  // namespace

// A call of Watch: a write at a time, the last status only where several came during one. It deletes itself when gRPC
// has told of its end and of the client's.
class Health::Watcher {
 public:
  static void Serve(Health& health, CallThreads& threads) {
    auto* watcher = new Watcher(health, threads);
    watcher->context_.AsyncNotifyWhenDone(&watcher->gone_step_);
    health.service_.RequestWatch(&watcher->context_, &watcher->request_, &watcher->writer_, threads.queue(),
                                 threads.queue(), &watcher->begun_step_);
  }

  // Sends what has changed. Under the mutex of the service, as all that follows.
  void Update() {
    if (writing_ || finishing_) return;
    if (gone_) return Finish(grpc::Status::CANCELLED);
    if (health_.ended_) return Finish({grpc::StatusCode::UNAVAILABLE, "The server stops."});
    const Status status = health_.StatusOf(request_.service());
    if (sent_ && *sent_ == status) return;
    sent_ = status;
    HealthCheckResponse response;
    response.set_status(status);
    writing_ = true;
    writer_.Write(response, &written_step_);
  }

 private:
  // A step of this call that is named by a method.
  template <void (Watcher::*method)(bool ok)>
  class StepOf final : public Step {
   public:
    explicit StepOf(Watcher& watcher) : watcher_(watcher) {}
    void Proceed(bool ok) override { watcher_.Take(method, ok); }

   private:
    Watcher& watcher_;
  };

  Watcher(Health& health, CallThreads& threads) : health_(health), threads_(threads), call_(threads) {}

  void Take(void (Watcher::*method)(bool ok), bool ok) {
    bool over = false;
    {
      const std::lock_guard lock(health_.mutex_);
      (this->*method)(ok);
      over = refused_ || (finished_ && gone_);
    }
    if (over) delete this;
  }

  void Begun(bool ok) {
    refused_ = !ok;  // the server stops; gRPC tells of nothing else
    if (refused_) return;
    Serve(health_, threads_);
    if (health_.watchers_.size() >= kMostWatchers) {
      return Finish({grpc::StatusCode::RESOURCE_EXHAUSTED, "Too many clients watch. Use Check."});
    }
    health_.watchers_.insert(this);
    Update();
  }

  void Written(bool ok) {
    writing_ = false;
    if (!ok) return Finish(grpc::Status::CANCELLED);
    Update();
  }

  void Gone(bool /*ok*/) {
    gone_ = true;
    Update();
  }

  void Finish(const grpc::Status& status) {
    health_.watchers_.erase(this);
    finishing_ = true;
    writer_.Finish(status, &finished_step_);
  }

  void Finished(bool /*ok*/) { finished_ = true; }

  Health& health_;
  CallThreads& threads_;
  const CallThreads::Call call_;
  StepOf<&Watcher::Begun> begun_step_{*this};
  StepOf<&Watcher::Written> written_step_{*this};
  StepOf<&Watcher::Gone> gone_step_{*this};
  StepOf<&Watcher::Finished> finished_step_{*this};
  grpc::ServerContext context_;
  HealthCheckRequest request_;
  grpc::ServerAsyncWriter<HealthCheckResponse> writer_{&context_};
  std::optional<Status> sent_;
  bool refused_ = false;
  bool writing_ = false;
  bool gone_ = false;
  bool finishing_ = false;
  bool finished_ = false;
};

Health::Health(const std::vector<std::string>& services) : names_(services.begin(), services.end()) {}

Health::~Health() = default;

void Health::Serve(CallThreads& threads) {
  ServeUnary(threads, service_, &decltype(service_)::RequestCheck, Pace::kQuick,
             [this](const HealthCheckRequest& request, absl::Time /*deadline*/, HealthCheckResponse* response) {
               Status status{};
               grpc::Status result = Check(request.service(), &status);
               response->set_status(status);
               return result;
             });
  Watcher::Serve(*this, threads);
}

grpc::Status Health::Check(const std::string& name, Status* status) const {
  const std::lock_guard lock(mutex_);
  *status = StatusOf(name);
  if (*status == HealthCheckResponse::SERVICE_UNKNOWN) {
    return {grpc::StatusCode::NOT_FOUND, "The server has no such service."};
  }
  return grpc::Status::OK;
}

Health::Status Health::StatusOf(const std::string& name) const {
  if (!name.empty() && names_.count(name) == 0) return HealthCheckResponse::SERVICE_UNKNOWN;
  return serving_ ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
}

void Health::SetServing(bool serving) {
  const std::lock_guard lock(mutex_);
  serving_ = serving;
  UpdateAll();
}

void Health::End() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  UpdateAll();
}

void Health::UpdateAll() {
  // A copy: those who end leave the set.
  for (Watcher* watcher : std::vector<Watcher*>(watchers_.begin(), watchers_.end())) watcher->Update();
}

}  // namespace ems
