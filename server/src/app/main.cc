// edge_model_server: reads its flags, loads the models, serves until it is asked to stop.
#include <CLI/CLI.hpp>
#include <iostream>

int main(int argc, char** argv) {
  CLI::App app("A model server with TensorFlow Serving's API for TensorFlow Lite models and accelerators.",
               "edge_model_server");
  app.set_version_flag("--version", "edge-model-server " EMS_VERSION);
  CLI11_PARSE(app, argc, argv);
  return 0;
}
