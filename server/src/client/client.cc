#include "client/client.h"

#include <CLI/CLI.hpp>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "client/calls.h"
#include "client/input.h"
#include "client/output.h"

namespace ems {

namespace {

struct Options {
  ServerAddress server;
  std::string model;
  std::optional<int64_t> version;
  std::string label;
  std::string signature = kDefaultSignature;
  std::vector<std::string> inputs;
  int top = 0;
};

void AddModel(CLI::App* command, Options& o) {
  command->add_option("MODEL", o.model, "Name of the model")->required();
  CLI::Option* version = command->add_option("--version", o.version, "Version of the model; default: the latest");
  command->add_option("--label", o.label, "Label of the version")->excludes(version);
}

void AddServer(CLI::App& app, Options& o) {
  app.add_option("--server", o.server.target, "HOST:PORT, or unix:PATH of a socket")->capture_default_str();
  app.add_option("--timeout", o.server.timeout_seconds, "Seconds to wait for an answer")
      ->capture_default_str()
      ->check(CLI::Range(1e-3, 1e6));  // gRPC counts in nanoseconds, and overflows
  app.add_option("--ca", o.server.ca_file, "TLS: certificates of the server's authority, a PEM file");
  app.add_option("--cert", o.server.cert_file, "TLS: the client's certificate, a PEM file");
  app.add_option("--key", o.server.key_file, "TLS: its key, a PEM file");
}

// Returns the exit code for an error of the server, after printing it.
ClientExit Fail(const absl::Status& status, const ServerAddress& server, std::ostream& err) {
  const bool silent = absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
  err << "edge_model_client: ";
  if (silent) err << "no answer from " << server.target << ": ";
  err << absl::StatusCodeToString(status.code()) << ": " << status.message() << '\n';
  if (silent) {
    err << "  is it running there, and with TLS (--ca) or without? systemctl status edge-model-server; --server names\n"
           "  another, as HOST:PORT\n";
  }
  return silent ? kClientUnreachable : kClientRefused;
}

ClientExit FailInput(const std::string& name, const absl::Status& status, std::ostream& err) {
  err << "edge_model_client: input " << name << ": " << status.message() << '\n';
  return kClientInput;
}

// Returns the source of each input; "zeros" where none is given. A source without a name is for the only input.
absl::StatusOr<std::map<std::string, std::string>> Sources(const Signature& signature, const Options& o) {
  std::map<std::string, std::string> sources;
  for (const auto& [name, spec] : signature.inputs) sources[name] = "zeros";
  for (const std::string& input : o.inputs) {
    const size_t equals = input.find('=');
    const bool named = equals != std::string::npos && sources.count(input.substr(0, equals)) > 0;
    if (named) {
      sources[input.substr(0, equals)] = input.substr(equals + 1);
    } else if (sources.size() == 1 && o.inputs.size() == 1) {
      sources.begin()->second = input;
    } else {
      std::string names;
      for (const auto& [name, source] : sources) absl::StrAppend(&names, names.empty() ? "" : ", ", name);
      return absl::InvalidArgumentError(absl::StrCat("expected NAME=SOURCE; the model has the inputs ", names));
    }
  }
  return sources;
}

ClientExit Predict(Server& server, const Options& o, std::ostream& out, std::ostream& err) {
  const VersionChoice spec{o.model, o.version, o.label};
  const absl::StatusOr<SignatureMap> signatures = server.Metadata(spec);
  if (!signatures.ok()) return Fail(signatures.status(), o.server, err);
  const auto signature = signatures->find(o.signature);
  if (signature == signatures->end()) {
    err << "edge_model_client: the model has no signature " << o.signature << "; see edge_model_client metadata "
        << o.model << '\n';
    return kClientInput;
  }
  const auto sources = Sources(signature->second, o);
  if (!sources.ok()) return FailInput(o.inputs.back(), sources.status(), err);
  TensorMap inputs;
  for (const auto& [name, source] : *sources) {
    absl::StatusOr<Tensor> tensor = ReadInput(signature->second.inputs.at(name), source);
    if (!tensor.ok()) return FailInput(name, tensor.status(), err);
    inputs[name] = *std::move(tensor);
  }
  const absl::StatusOr<TensorMap> outputs = server.Predict(spec, o.signature, inputs);
  if (!outputs.ok()) return Fail(outputs.status(), o.server, err);
  for (const auto& [name, tensor] : *outputs) PrintTensor(name, tensor, o.top, out);
  return kClientOk;
}

ClientExit Status(Server& server, const Options& o, std::ostream& out, std::ostream& err) {
  const auto versions = server.Status({o.model, o.version, o.label});
  if (!versions.ok()) return Fail(versions.status(), o.server, err);
  for (const VersionLine& version : *versions) {
    out << o.model << " version " << version.version << ": " << version.state;
    if (!version.error.empty()) out << ": " << version.error;
    out << '\n';
  }
  return kClientOk;
}

ClientExit Metadata(Server& server, const Options& o, std::ostream& out, std::ostream& err) {
  const absl::StatusOr<SignatureMap> signatures = server.Metadata({o.model, o.version, o.label});
  if (!signatures.ok()) return Fail(signatures.status(), o.server, err);
  for (const auto& [name, signature] : *signatures) PrintSignature(name, signature, out);
  return kClientOk;
}

ClientExit Health(Server& server, const Options& o, std::ostream& out, std::ostream& err) {
  const absl::StatusOr<bool> serving = server.Health();
  if (!serving.ok()) return Fail(serving.status(), o.server, err);
  out << (*serving ? "SERVING" : "NOT_SERVING") << '\n';
  return *serving ? kClientOk : kClientRefused;
}

}  // namespace

ClientExit ClientMain(int argc, const char* const* argv, std::ostream& out, std::ostream& err) {
  CLI::App app("Asks a model server with TensorFlow Serving's API over gRPC.", "edge_model_client");
  app.footer(
      "Exit codes: 0 success; 2 usage; 3 no server, or no answer in time; 4 the server answered with an error, or is\n"
      "not serving; 5 an input that does not fit the model.");
  Options o;
  AddServer(app, o);
  app.require_subcommand(1);
  CLI::App* health = app.add_subcommand("health", "Print whether the server serves");
  CLI::App* status = app.add_subcommand("status", "Print the state of a model's versions");
  CLI::App* metadata = app.add_subcommand("metadata", "Print the signatures of a model: names, types, shapes");
  CLI::App* predict = app.add_subcommand("predict", "Run a model and print its outputs");
  for (CLI::App* command : {status, metadata, predict}) AddModel(command, o);
  predict->add_option("-i,--input", o.inputs,
                      "[NAME=]SOURCE: a file (.npy, .pgm, .ppm, .jpg, .png, raw bytes), -, or zeros");
  predict->add_option("--signature", o.signature, "Signature of the model")->capture_default_str();
  predict->add_option("--top", o.top, "Print only the greatest values of each row")->check(CLI::PositiveNumber);
  app.set_version_flag("--version", "edge-model-server " EMS_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error, out, err) == 0 ? kClientOk : kClientUsage;
  }
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Connect(o.server);
  if (!server.ok()) {
    err << "edge_model_client: " << server.status().message() << '\n';
    return kClientUsage;
  }
  if (health->parsed()) return Health(**server, o, out, err);
  if (status->parsed()) return Status(**server, o, out, err);
  if (metadata->parsed()) return Metadata(**server, o, out, err);
  return Predict(**server, o, out, err);
}

}  // namespace ems
