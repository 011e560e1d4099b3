#include "grpc/reflection.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/async_stream.h>

#include <utility>

namespace ems {

namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using grpc::reflection::v1alpha::ServerReflectionRequest;
using grpc::reflection::v1alpha::ServerReflectionResponse;

void SetError(grpc::StatusCode code, const std::string& text, ServerReflectionResponse* response) {
  response->mutable_error_response()->set_error_code(code);
  response->mutable_error_response()->set_error_message(text);
}

// Adds a file and all that it imports, each once.
void AddFile(const FileDescriptor& file, std::set<const FileDescriptor*>* added, ServerReflectionResponse* response) {
  if (!added->insert(&file).second) return;
  google::protobuf::FileDescriptorProto proto;
  file.CopyTo(&proto);
  response->mutable_file_descriptor_response()->add_file_descriptor_proto(proto.SerializeAsString());
  for (int i = 0; i < file.dependency_count(); ++i) AddFile(*file.dependency(i), added, response);
}

void SetFile(const FileDescriptor* file, const std::string& what, ServerReflectionResponse* response) {
  if (file == nullptr) return SetError(grpc::StatusCode::NOT_FOUND, what + " not found.", response);
  std::set<const FileDescriptor*> added;
  AddFile(*file, &added, response);
}

const FileDescriptor* FileOfExtension(const std::string& type, int number) {
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  const Descriptor* message = pool.FindMessageTypeByName(type);
  const FieldDescriptor* extension = message == nullptr ? nullptr : pool.FindExtensionByNumber(message, number);
  return extension == nullptr ? nullptr : extension->file();
}

void SetExtensionNumbers(const std::string& type, ServerReflectionResponse* response) {
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  const Descriptor* message = pool.FindMessageTypeByName(type);
  if (message == nullptr) return SetError(grpc::StatusCode::NOT_FOUND, "Type not found.", response);
  std::vector<const FieldDescriptor*> extensions;
  pool.FindAllExtensions(message, &extensions);
  auto& numbers = *response->mutable_all_extension_numbers_response();
  numbers.set_base_type_name(type);
  for (const FieldDescriptor* extension : extensions) numbers.add_extension_number(extension->number());
}

}  // namespace

// A call: reads a question, writes its answer, reads the next. It deletes itself at its end.
class Reflection::Session final : public Step {
 public:
  static void Serve(Reflection& reflection, CallThreads& threads) {
    auto* session = new Session(reflection, threads);
    reflection.service_.RequestServerReflectionInfo(&session->context_, &session->stream_, threads.queue(),
                                                    threads.queue(), session);
  }

  void Proceed(bool ok) override {
    switch (state_) {
      case State::kOffered:
        return ok ? Begin() : End();
      case State::kReading:
        return ok ? Write() : Finish();
      case State::kWriting:
        return ok ? Read() : Finish();
      case State::kFinishing:
        return End();
    }
  }

  void Cancel() { context_.TryCancel(); }

 private:
  enum class State { kOffered, kReading, kWriting, kFinishing };

  Session(Reflection& reflection, CallThreads& threads) : reflection_(reflection), threads_(threads), call_(threads) {}

  void Begin() {
    Serve(reflection_, threads_);
    {
      const std::lock_guard lock(reflection_.mutex_);
      reflection_.sessions_.insert(this);
      if (reflection_.ended_) Cancel();
    }
    Read();
  }

  void Read() {
    state_ = State::kReading;
    stream_.Read(&request_, this);
  }

  void Write() {
    state_ = State::kWriting;
    stream_.Write(reflection_.Answer(request_), this);
  }

  void Finish() {
    {
      const std::lock_guard lock(reflection_.mutex_);
      reflection_.sessions_.erase(this);
    }
    state_ = State::kFinishing;
    stream_.Finish(grpc::Status::OK, this);
  }

  void End() { delete this; }

  Reflection& reflection_;
  CallThreads& threads_;
  const CallThreads::Call call_;
  State state_ = State::kOffered;
  grpc::ServerContext context_;
  grpc::ServerAsyncReaderWriter<ServerReflectionResponse, ServerReflectionRequest> stream_{&context_};
  ServerReflectionRequest request_;
};

void Reflection::Serve(CallThreads& threads) { Session::Serve(*this, threads); }

void Reflection::End() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  for (Session* session : sessions_) session->Cancel();
}

ServerReflectionResponse Reflection::Answer(const ServerReflectionRequest& request) const {
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  ServerReflectionResponse response;
  response.set_valid_host(request.host());
  *response.mutable_original_request() = request;
  switch (request.message_request_case()) {
    case ServerReflectionRequest::kFileByFilename:
      SetFile(pool.FindFileByName(request.file_by_filename()), "File", &response);
      break;
    case ServerReflectionRequest::kFileContainingSymbol:
      SetFile(pool.FindFileContainingSymbol(request.file_containing_symbol()), "Symbol", &response);
      break;
    case ServerReflectionRequest::kFileContainingExtension: {
      const auto& extension = request.file_containing_extension();
      SetFile(FileOfExtension(extension.containing_type(), extension.extension_number()), "Extension", &response);
      break;
    }
    case ServerReflectionRequest::kAllExtensionNumbersOfType:
      SetExtensionNumbers(request.all_extension_numbers_of_type(), &response);
      break;
    case ServerReflectionRequest::kListServices:
      for (const std::string& name : services_) {
        response.mutable_list_services_response()->add_service()->set_name(name);
      }
      break;
    default:
      SetError(grpc::StatusCode::INVALID_ARGUMENT, "The request asks nothing.", &response);
  }
  return response;
}

}  // namespace ems
