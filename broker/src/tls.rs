//! The server's certificate and key.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config::TlsFiles;

/// Why TLS can't be served. All of these are for the operator to mend.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("listen.tls.certificate: {path}: there is no readable PEM certificate chain")]
    Certificate {
        path: PathBuf,
        #[source]
        source: PemError,
    },
    #[error("listen.tls.certificate: {path}: the file holds no certificate")]
    NoCertificate { path: PathBuf },
    #[error("listen.tls.key: {path}: there is no readable PEM private key")]
    Key {
        path: PathBuf,
        #[source]
        source: PemError,
    },
    #[error("listen.tls: certificate and key don't serve together")]
    Settings(#[source] rustls::Error),
}

pub(crate) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, TlsError> {
    let chain = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|source| TlsError::Key {
        path: files.key.clone(),
        source,
    })?;
    // The provider is named here: a process-wide default could be set by nobody or by two.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Settings)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(TlsError::Settings)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fail = |source| TlsError::Certificate {
        path: path.to_owned(),
        source,
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(fail)?
        .collect::<Result<_, _>>()
        .map_err(fail)?;
    if chain.is_empty() {
        let path = path.to_owned();
        return Err(TlsError::NoCertificate { path });
    }
    Ok(chain)
}
