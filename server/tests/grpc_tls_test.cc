#include <gmock/gmock.h>

#include "certificates.h"
#include "grpc/tls.h"

namespace ems {
namespace {

using testing::HasSubstr;

class TlsTest : public testing::Test {
 protected:
  absl::Status Read(const std::string& text) const { return ReadTlsCredentials(folder_.File("ssl", text)).status(); }
  void ExpectError(const std::string& text, const std::string& part) const {
    const absl::Status status = Read(text);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(part));
  }

  TempFolder folder_;
  Authority authority_;
  KeyPair server_ = authority_.Sign("server");
};

TEST_F(TlsTest, TakesGoodOnes) {
  EXPECT_TRUE(Read(SslConfigText(server_, "", false)).ok());
  EXPECT_TRUE(Read(SslConfigText(server_, authority_.certificate(), true)).ok());
}

TEST_F(TlsTest, FilesThatCannotBeRead) {
  EXPECT_EQ(ReadTlsCredentials(folder_ / "missing").status().code(), absl::StatusCode::kNotFound);
  ExpectError("server_kay: \"\"", "ssl: line 1, column ");
}

TEST_F(TlsTest, FieldsHoldTextNotPaths) {
  ExpectError("server_cert: \"/etc/ssl/server.pem\"",
              "server_cert: no start line; the field holds the PEM text itself");
  ExpectError(SslConfigText({"/etc/ssl/server.key", server_.certificate}, "", false), "server_key: ");
}

TEST_F(TlsTest, BrokenCertificates) {
  std::string cut = server_.certificate;
  cut.erase(40, 20);
  ExpectError(SslConfigText({server_.key, cut}, "", false), "server_cert: ");
  ExpectError(SslConfigText(server_, cut, true), "custom_ca: ");
}

TEST_F(TlsTest, KeyOfAnotherCertificate) {
  ExpectError(SslConfigText({authority_.Sign("other").key, server_.certificate}, "", false),
              "server_key does not belong to server_cert: ");
}

TEST_F(TlsTest, ClientsNeedAnAuthority) {
  ExpectError(SslConfigText(server_, "", true), "client_verify needs custom_ca");
}

}  // namespace
}  // namespace ems
