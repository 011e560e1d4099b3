// Certificates made when a test runs: an authority, and certificates that it signs.
#ifndef EMS_TESTS_CERTIFICATES_H_
#define EMS_TESTS_CERTIFICATES_H_

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "temp_folder.h"

namespace ems {

struct KeyPair {
  std::string key;
  std::string certificate;
};

class Authority {
 public:
  Authority() {
    Run("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=authority -days 2 "
        "-keyout ca.key -out ca.pem");
  }

  std::string certificate() const { return Read("ca.pem"); }

  KeyPair Sign(const std::string& name) const {
    Run(absl::StrCat("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=", name, " -keyout ", name,
                     ".key -out ", name, ".csr"));
    folder_.File("san", absl::StrCat("subjectAltName=DNS:", name, "\n"));
    Run(absl::StrCat("x509 -req -in ", name, ".csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile san -out ",
                     name, ".pem"));
    return {Read(name + ".key"), Read(name + ".pem")};
  }

 private:
  void Run(const std::string& arguments) const {
    const std::string command = absl::StrCat("cd ", folder_ / "", " && openssl ", arguments, " 2>openssl.log");
    ASSERT_EQ(std::system(command.c_str()), 0) << Read("openssl.log");  // NOLINT(cert-env33-c): fixed words
  }
  std::string Read(const std::string& name) const {
    std::ifstream file(folder_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  TempFolder folder_;
};

// Returns the text of an --ssl_config_file.
inline std::string SslConfigText(const KeyPair& pair, const std::string& authority, bool client_verify) {
  const auto quoted = [](const std::string& pem) { return absl::StrReplaceAll(pem, {{"\n", "\\n"}}); };
  return absl::StrCat("server_key: \"", quoted(pair.key), "\"\nserver_cert: \"", quoted(pair.certificate),
                      "\"\ncustom_ca: \"", quoted(authority), "\"\nclient_verify: ", client_verify ? "true" : "false",
                      "\n");
}

}  // namespace ems

#endif  // EMS_TESTS_CERTIFICATES_H_
