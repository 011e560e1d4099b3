#include <exception>
#include <iostream>

#include "client/client.h"

int main(int argc, char** argv) {
  try {
    return ems::ClientMain(argc, argv, std::cout, std::cerr);
  } catch (const std::exception& error) {
    std::cerr << "edge_model_client: " << error.what() << '\n';
    return 1;
  }
}
