// The program after its flags are read.
#ifndef EMS_APP_RUN_H_
#define EMS_APP_RUN_H_

#include "app/options.h"

namespace ems {

// Loads the models, serves until SIGTERM or SIGINT, and returns the exit code. Ports open when the models are loaded
// or --start_timeout_seconds is over, as TensorFlow Serving's do after loading. Blocks the signals in the calling
// thread, so no other thread may exist before.
ExitCode Run(Options options);

// Prints what Run would serve, without loading it.
ExitCode Check(Options options);

}  // namespace ems

#endif  // EMS_APP_RUN_H_
