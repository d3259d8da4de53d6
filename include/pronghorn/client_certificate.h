// The certificate with which a client has identified itself in the TLS handshake.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace pronghorn {

// From Request::client_certificate(). The server has verified it: it is signed by an authority of the option
// tls_client_ca, meant for clients, and was valid when the TLS session began. What it says of its owner is as
// trustworthy as that authority.
struct ClientCertificate {
  std::string subject;      // as in RFC 4514, the last part first: "CN=alice,O=Example"
  std::string issuer;       // the same
  std::string serial;       // hexadecimal, upper case: "01A3"; unique per issuer
  std::string fingerprint;  // SHA-256 of the whole certificate: 64 hex digits, lower case
  std::chrono::system_clock::time_point not_after;
  // Its subject alternative names, each with its kind: "DNS:alice.example.com", "email:alice@example.com",
  // "URI:spiffe://example.com/alice", "IP:192.0.2.7". Other kinds are left out, and names with control characters.
  std::vector<std::string> names;
};

}  // namespace pronghorn
