#include "grpc/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "codec/text_proto.h"
#include "ems/server_config.pb.h"

namespace ems {

namespace {

template <auto kFree>
struct Free {
  template <typename T>
  void operator()(T* pointer) const {
    kFree(pointer);
  }
};
using Bio = std::unique_ptr<BIO, Free<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;

Bio Memory(absl::string_view text) { return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

// Returns OpenSSL's reason for the last failure, and forgets it.
std::string Reason() {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return reason == nullptr ? "unknown error" : reason;
}

absl::Status Wrong(absl::string_view field, absl::string_view text) {
  const absl::string_view hint = text.find("-----BEGIN") == absl::string_view::npos
                                     ? "; the field holds the PEM text itself, not the path of a file"
                                     : "";
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", Reason(), hint));
}

// A key with a passphrase would be asked for on the terminal.
int NoPassphrase(char*, int, int, void*) { return 0; }

absl::StatusOr<Certificate> ParseCertificate(absl::string_view field, const std::string& text) {
  const Bio bio = Memory(text);
  Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, NoPassphrase, nullptr));
  if (certificate == nullptr) return Wrong(field, text);
  if (X509_cmp_current_time(X509_get0_notAfter(certificate.get())) < 0) {
    return absl::InvalidArgumentError(absl::StrCat(field, ": the certificate has expired"));
  }
  return certificate;
}

absl::Status Check(const SslConfig& config) {
  absl::StatusOr<Certificate> certificate = ParseCertificate("server_cert", config.server_cert());
  if (!certificate.ok()) return certificate.status();
  const Bio bio = Memory(config.server_key());
  const Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassphrase, nullptr));
  if (key == nullptr) return Wrong("server_key", config.server_key());
  if (X509_check_private_key(certificate->get(), key.get()) != 1) {
    return absl::InvalidArgumentError(absl::StrCat("server_key does not belong to server_cert: ", Reason()));
  }
  if (!config.custom_ca().empty()) {
    if (absl::Status status = ParseCertificate("custom_ca", config.custom_ca()).status(); !status.ok()) return status;
  } else if (config.client_verify()) {
    return absl::InvalidArgumentError("client_verify needs custom_ca: the certificate that signs those of clients");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ReadTlsCredentials(const std::string& path) {
  SslConfig config;
  if (absl::Status status = ReadTextProto(path, &config); !status.ok()) return status;
  if (const absl::Status status = Check(config); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", status.message()));
  }
  grpc::SslServerCredentialsOptions options(config.client_verify()
                                                ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                                : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  options.pem_root_certs = config.custom_ca();
  options.pem_key_cert_pairs.push_back({config.server_key(), config.server_cert()});
  return grpc::SslServerCredentials(options);
}

}  // namespace ems
