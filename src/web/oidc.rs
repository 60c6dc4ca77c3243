//! Sign-in by an identity provider (OpenID Connect Core 1.0): the code flow with PKCE (RFC 7636).
//!
//! The provider's claims choose the role; who has none of the named values has no role here. A
//! sign-in that was begun is bound to its browser by a cookie, so that nobody can be signed in as
//! somebody else by a link (RFC 9700, section 4.7). The provider says once who it is: a session
//! lasts as long as any other, whatever becomes of the account there.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreErrorResponseType,
    CoreGenderClaim, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm,
    CoreProviderMetadata, CoreRevocableToken, CoreRevocationErrorResponse,
    CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AdditionalClaims, AsyncHttpClient, AuthorizationCode, ClaimsVerificationError, ClientId,
    ClientSecret, CsrfToken, EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet,
    HttpRequest, HttpResponse, IdTokenFields, IssuerUrl, Nonce, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, Scope, StandardErrorResponse, StandardTokenResponse,
    TokenResponse,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::access::{Digest, Role, Secret};

/// Sign-ins that were begun and are not over yet; past it the oldest go.
const BEGUN: usize = 1_000;

/// How long the provider's pages may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// What the provider says of itself is asked for again after so long, and, where a signature is
/// none of its keys', at the earliest after so short.
const FRESH: Duration = Duration::from_secs(3_600);
const AGAIN: Duration = Duration::from_secs(30);

/// Bytes of an answer of the provider at most.
const ANSWER: usize = 1 << 20;

/// Characters of a name.
const NAME: usize = 64;

pub struct Settings {
    /// `https://login.example/realms/staff`, as the provider writes it.
    pub issuer: String,
    pub client_id: String,
    /// None: a public client.
    pub client_secret: Option<String>,
    /// Where browsers reach us: `https://apitap.example`, without a path.
    pub url: String,
    /// On the button.
    pub label: String,
    pub scopes: Vec<String>,
    /// The claim that is a person's name here, and the one that chooses the role.
    pub name_claim: String,
    pub role_claim: String,
    /// Values of that claim, each with its role.
    pub roles: Vec<(String, Role)>,
    /// To the provider.
    pub tls: rustls::ClientConfig,
}

/// All claims that the standard has no type for.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Claims {
    #[serde(flatten)]
    all: Map<String, Value>,
}

impl AdditionalClaims for Claims {}

type Fields = IdTokenFields<
    Claims,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;

type Client = openidconnect::Client<
    Claims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<Fields, CoreTokenType>,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// A sign-in that was begun.
struct Begun {
    at: Instant,
    nonce: Nonce,
    verifier: PkceCodeVerifier,
    /// Of the browser's cookie.
    browser: String,
    next: String,
}

/// Who came back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// `oidc:alice`: never the name of a user of our own.
    pub(super) name: String,
    /// None: the provider knows them, and they have no role here.
    pub(super) role: Option<Role>,
    pub(super) next: String,
}

pub struct Provider {
    settings: Settings,
    http: Http,
    client: tokio::sync::Mutex<Option<(Instant, Arc<Client>)>>,
    begun: Mutex<BTreeMap<String, Begun>>,
}

/// Why nobody is let in: for people, and for the log.
pub(super) struct Failed(pub(super) &'static str, pub(super) String);

const UNREACHABLE: &str =
    "The identity provider cannot be reached, or its answer is not understood.";
const STALE: &str = "This sign-in was begun elsewhere, or too long ago. Begin again.";
const UNPROVEN: &str = "The identity provider's answer does not prove who you are.";

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Provider")
            .field(&self.settings.issuer)
            .finish_non_exhaustive()
    }
}

impl Provider {
    /// The error is of the HTTP client: nothing is asked yet.
    pub fn new(settings: Settings) -> Result<Self, String> {
        // A provider must not choose whom we ask instead, nor may the environment.
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(settings.tls.clone())
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(Duration::from_secs(10))
            .build()
            .map_err(|e| format!("no HTTP client: {e}"))?;
        Ok(Self {
            settings,
            http: Http(http),
            client: tokio::sync::Mutex::default(),
            begun: Mutex::default(),
        })
    }

    pub(super) fn label(&self) -> &str {
        &self.settings.label
    }

    /// What the provider says of itself, and its keys: not older than `age`.
    async fn client(&self, age: Duration) -> Result<Arc<Client>, Failed> {
        let mut held = self.client.lock().await;
        if let Some((_, client)) = held.as_ref().filter(|(at, _)| at.elapsed() < age) {
            return Ok(client.clone());
        }
        let wrong = |e: &dyn std::error::Error| Failed(UNREACHABLE, text(e));
        let s = &self.settings;
        let issuer = IssuerUrl::new(s.issuer.clone()).map_err(|e| wrong(&e))?;
        let metadata = CoreProviderMetadata::discover_async(issuer, &self.http)
            .await
            .map_err(|e| wrong(&e))?;
        let back = RedirectUrl::new(format!("{}/login/oidc/back", s.url)).map_err(|e| wrong(&e))?;
        let secret = s.client_secret.clone().map(ClientSecret::new);
        let id = ClientId::new(s.client_id.clone());
        let client = Client::from_provider_metadata(metadata, id, secret).set_redirect_uri(back);
        let client = Arc::new(client);
        *held = Some((Instant::now(), client.clone()));
        Ok(client)
    }

    /// Where the browser is to go, and its cookie.
    pub(super) async fn begin(&self, next: String) -> Result<(String, Secret), Failed> {
        let client = self.client(FRESH).await?;
        let browser = Secret::random().map_err(|e| Failed("apitap is busy: try again.", e))?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let mut request = client
            .authorize_url(flow, CsrfToken::new_random, Nonce::new_random)
            .set_pkce_challenge(challenge);
        for scope in &self.settings.scopes {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        let (url, state, nonce) = request.url();
        let begun = Begun {
            at: Instant::now(),
            nonce,
            verifier,
            browser: browser.digest().short().to_owned(),
            next,
        };
        let mut all = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, b| b.at.elapsed() < PATIENCE);
        if all.len() >= BEGUN {
            let oldest = all.iter().min_by_key(|(_, b)| b.at);
            let oldest = oldest.map(|(state, _)| state.clone());
            oldest.and_then(|state| all.remove(&state));
        }
        all.insert(state.secret().clone(), begun);
        Ok((url.to_string(), browser))
    }

    /// What the browser brought back: each state once.
    pub(super) async fn end(&self, state: &str, code: &str, cookie: &str) -> Result<Known, Failed> {
        let begun = {
            let mut all = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
            all.remove(state)
        };
        let begun = begun.filter(|b| b.at.elapsed() < PATIENCE);
        let begun = begun.ok_or_else(|| Failed(STALE, "an unknown state".into()))?;
        if Digest::of(cookie).short() != begun.browser {
            return Err(Failed(STALE, "the state of another browser".into()));
        }
        let client = self.client(FRESH).await?;
        let wrong = |e: &dyn std::error::Error| Failed(UNPROVEN, text(e));
        let tokens = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(|e| wrong(&e))?
            .set_pkce_verifier(begun.verifier)
            .request_async(&self.http)
            .await
            .map_err(|e| wrong(&e))?;
        let missing = || Failed(UNPROVEN, "there is no ID token".into());
        let token = tokens.id_token().ok_or_else(missing)?;
        let known = match token.claims(&client.id_token_verifier(), &begun.nonce) {
            // Its keys may have changed since they were asked for.
            Err(ClaimsVerificationError::SignatureVerification(_)) => {
                let client = self.client(AGAIN).await?;
                let verifier = client.id_token_verifier();
                let claims = token.claims(&verifier, &begun.nonce);
                self.known(claims.map_err(|e| wrong(&e))?)?
            }
            claims => self.known(claims.map_err(|e| wrong(&e))?)?,
        };
        Ok(Known {
            next: begun.next,
            ..known
        })
    }

    fn known(&self, claims: &impl Serialize) -> Result<Known, Failed> {
        let claims = serde_json::to_value(claims).map_err(|e| Failed(UNPROVEN, e.to_string()))?;
        let s = &self.settings;
        let name = claims.get(&s.name_claim).and_then(Value::as_str);
        let name = name.map(|n| n.trim().to_lowercase());
        let name = name.filter(|n| !n.is_empty() && !n.chars().any(char::is_control));
        let name = name.ok_or_else(|| {
            let why = format!("the ID token has no claim `{}`", s.name_claim);
            Failed("The identity provider does not tell your name.", why)
        })?;
        let said = claims.get(&s.role_claim);
        let has = |wanted: &str| match said {
            Some(Value::String(one)) => one == wanted,
            Some(Value::Array(many)) => many.iter().any(|v| v == wanted),
            _ => false,
        };
        let roles = s.roles.iter().filter(|(value, _)| has(value));
        Ok(Known {
            name: format!("oidc:{}", name.chars().take(NAME).collect::<String>()),
            role: roles.map(|(_, role)| *role).max(),
            next: String::new(),
        })
    }
}

/// Answers of a bounded length, without following anybody.
struct Http(reqwest::Client);

impl Http {
    async fn answer(&self, request: HttpRequest) -> Result<HttpResponse, Broken> {
        let (parts, body) = request.into_parts();
        let request = self
            .0
            .request(parts.method, parts.uri.to_string())
            .headers(parts.headers)
            .body(body);
        let mut answer = request.send().await.map_err(|e| Broken(text(&e)))?;
        let mut out = HttpResponse::new(Vec::new());
        *out.status_mut() = answer.status();
        out.headers_mut().clone_from(answer.headers());
        while let Some(chunk) = answer.chunk().await.map_err(|e| Broken(text(&e)))? {
            if out.body().len() + chunk.len() > ANSWER {
                return Err(Broken("the answer is too long".into()));
            }
            out.body_mut().extend_from_slice(&chunk);
        }
        Ok(out)
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = Broken;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Broken>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.answer(request))
    }
}

/// A call that came to nothing.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Broken(String);

/// With what caused it.
fn text(e: &dyn std::error::Error) -> String {
    let mut out = e.to_string();
    let mut cause = e.source();
    while let Some(e) = cause {
        out = format!("{out}: {e}");
        cause = e.source();
    }
    out
}
