//! Connections: in clear, or TLS where a certificate is named. The files are looked at again and
//! again, so that a renewed certificate is served without a restart; where the new one does not
//! read, the old one stays and that is said.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{Live, Views};

/// How soon a renewed certificate is served.
const LOOK: Duration = Duration::from_secs(10);

/// How long requests that are open at the end may still take.
const GRACE: Duration = Duration::from_secs(1);

/// A certificate with those that vouch for it, and its key: PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pem {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Pem {
    /// Reads both. The error says which file, and what is wrong with it.
    pub fn load(&self) -> Result<ServerConfig, String> {
        let wrong = |path: &Path, e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
        let chain = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|e| wrong(&self.certificate, &e))?;
        if chain.is_empty() {
            return Err(wrong(&self.certificate, &"no certificate in PEM is in it"));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|e| wrong(&self.key, &e))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| wrong(&self.certificate, &e))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|e| {
                wrong(
                    &self.key,
                    &format!("does not go with {}: {e}", self.certificate.display()),
                )
            })?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    /// When each was last written; what cannot be asked has no time.
    fn written(&self) -> [Option<SystemTime>; 2] {
        [&self.certificate, &self.key].map(|path| path.metadata().and_then(|m| m.modified()).ok())
    }
}

/// Serves until the listener fails, or until `stop`: then nobody new is let in, what was asked is
/// answered, live streams end, and what is still open after a grace of a second is cut. Files that do not read
/// are an error at the start only.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    tls: Option<Pem>,
    views: Arc<Views>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let handle = Handle::new();
    let stopped = handle.clone();
    tokio::spawn(async move {
        stop.await;
        stopped.graceful_shutdown(Some(GRACE));
        // A stream has no end of its own; where nobody listens there is none.
        let _ = views.live.send(Live::End);
    });
    let Some(pem) = tls else {
        return axum_server::from_tcp(listener)?
            .handle(handle)
            .serve(app)
            .await;
    };
    let first = pem.load().map_err(io::Error::other)?;
    let config = RustlsConfig::from_config(Arc::new(first));
    tokio::spawn(renew(pem, config.clone()));
    axum_server::from_tcp_rustls(listener, config)?
        .handle(handle)
        .serve(app)
        .await
}

async fn renew(pem: Pem, config: RustlsConfig) {
    let mut seen = pem.written();
    loop {
        tokio::time::sleep(LOOK).await;
        let written = pem.written();
        if written == seen {
            continue;
        }
        seen = written;
        match pem.load() {
            Ok(new) => {
                config.reload_from_config(Arc::new(new));
                tracing::info!("the renewed certificate is served");
            }
            Err(e) => tracing::error!("the old certificate stays: {e}"),
        }
    }
}
