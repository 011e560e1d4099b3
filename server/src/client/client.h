// edge_model_client: asks a server over gRPC from the shell. TensorFlow Serving answers it too.
#ifndef EMS_CLIENT_CLIENT_H_
#define EMS_CLIENT_CLIENT_H_

#include <ostream>

namespace ems {

// How the program ends; `--help` lists them too.
enum ClientExit : int {
  kClientOk = 0,
  kClientUsage = 2,        // a flag
  kClientUnreachable = 3,  // no server, or no answer in time
  kClientRefused = 4,      // the server answered with an error, or is not serving
  kClientInput = 5,        // an input that is missing or does not fit the model
};

// Runs a command line; results go to `out`, errors to `err`.
ClientExit ClientMain(int argc, const char* const* argv, std::ostream& out, std::ostream& err);

}  // namespace ems

#endif  // EMS_CLIENT_CLIENT_H_
