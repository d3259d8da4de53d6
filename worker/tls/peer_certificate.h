// A client's certificate as the application sees it.
#pragma once

#include <openssl/x509.h>

#include "pronghorn/client_certificate.h"

namespace pronghorn::worker {

[[nodiscard]] ClientCertificate describe(X509* certificate);

}  // namespace pronghorn::worker
