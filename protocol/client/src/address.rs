//! Where the broker is and how it proves itself.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Why a text is no broker address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no broker address: write host:port, for example 127.0.0.1:1883")]
pub struct AddressError(String);

/// Why TLS can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{path}: can't read the CA certificates")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path}: there is no usable CA certificate in PEM form")]
    NoCertificate { path: PathBuf },
    #[error("the TLS library refused its settings")]
    Settings(#[source] rustls::Error),
}

/// Host and port of a broker, with TLS where it isn't on the same machine.
#[derive(Debug, Clone)]
pub struct BrokerAddress {
    pub host: String,
    pub port: u16,
    pub tls: Option<ClientTls>,
}

impl BrokerAddress {
    /// Plain MQTT: for loopback.
    #[must_use]
    pub fn plain(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
            tls: None,
        }
    }

    /// The same address with TLS. The host must be a name or an IPv4 address.
    #[must_use]
    pub fn with_tls(self, tls: ClientTls) -> Self {
        Self {
            tls: Some(tls),
            ..self
        }
    }
}

impl From<SocketAddr> for BrokerAddress {
    fn from(address: SocketAddr) -> Self {
        Self::plain(address.ip().to_string(), address.port())
    }
}

/// `host:port`, `[::1]:1883`: a plain address.
impl FromStr for BrokerAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let error = || AddressError(text.chars().take(80).collect());
        let (host, port) = text.rsplit_once(':').ok_or_else(error)?;
        let port = port.parse().map_err(|_| error())?;
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        if host.is_empty() || host.contains(['/', ' ', '@']) {
            return Err(error());
        }
        Ok(Self::plain(host, port))
    }
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Whom we trust to be the broker.
#[derive(Debug, Clone)]
pub struct ClientTls {
    pub(crate) config: Arc<rustls::ClientConfig>,
}

impl ClientTls {
    /// Trusts the CA certificates of a PEM file, and nothing else.
    pub fn from_ca_file(path: &Path) -> Result<Self, TlsError> {
        let pem = std::fs::read(path).map_err(|source| TlsError::Read {
            path: path.to_owned(),
            source,
        })?;
        let mut roots = rustls::RootCertStore::empty();
        let certificates = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok);
        let (added, _) = roots.add_parsable_certificates(certificates);
        if added == 0 {
            return Err(TlsError::NoCertificate {
                path: path.to_owned(),
            });
        }
        Self::trusting(roots)
    }

    fn trusting(roots: rustls::RootCertStore) -> Result<Self, TlsError> {
        // The provider is named here: a process-wide default could be set by nobody or by two.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Settings)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            config: Arc::new(config),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_host_and_port() {
        for (text, host, port) in [
            ("127.0.0.1:1883", "127.0.0.1", 1883),
            ("broker.example:8883", "broker.example", 8883),
            ("[::1]:1883", "::1", 1883),
        ] {
            let address: BrokerAddress = text.parse().unwrap();
            assert_eq!((&*address.host, address.port), (host, port));
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn anything_else_is_refused_with_an_example() {
        for text in [
            "",
            "broker",
            ":1883",
            "broker:0x1",
            "broker:70000",
            "mqtt://broker:1883",
        ] {
            let error = text.parse::<BrokerAddress>().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "'{text}' is no broker address: write host:port, for example 127.0.0.1:1883"
                )
            );
        }
    }

    #[test]
    fn a_file_without_certificates_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        assert!(matches!(
            ClientTls::from_ca_file(&path),
            Err(TlsError::Read { .. })
        ));
        std::fs::write(&path, "nothing").unwrap();
        let error = ClientTls::from_ca_file(&path).unwrap_err();
        assert!(matches!(error, TlsError::NoCertificate { .. }), "{error}");
    }
}
