//! The live stream: small events, after which a page asks for what it shows. A client that lags is
//! told to load anew, never left silently behind.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;

use super::api::problem;
use super::frame::health;
use super::routes::{App, Shared};
use super::who::Who;
use super::{Live, gate};

/// Streams at once; each costs a connection and a place in the broadcast.
const MAX_CLIENTS: usize = 64;

/// The longest that a stream says nothing.
const BEAT: Duration = Duration::from_secs(15);

/// Counts a stream for as long as it lasts.
struct Guest(Arc<App>);

impl Drop for Guest {
    fn drop(&mut self) {
        self.0.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) async fn stream(State(app): Shared, who: Who) -> Response {
    if app.clients.fetch_add(1, Ordering::Relaxed) >= MAX_CLIENTS {
        app.clients.fetch_sub(1, Ordering::Relaxed);
        return problem(StatusCode::SERVICE_UNAVAILABLE, "too many live streams");
    }
    let guest = Guest(app.clone());
    // Ends with the session or token that opened it, too; something is told each second.
    let told = move |live| {
        let event = event(live, &guest.0).filter(|_| gate::is_still(&guest.0, &who));
        event.map(Ok::<_, Infallible>)
    };
    let events = BroadcastStream::new(app.views.live.subscribe()).map_while(told);
    // A script cannot hear comments: a page that hears nothing says that it is stale.
    let beat = Event::default().event("beat").data("{}");
    let alive = KeepAlive::new().interval(BEAT).event(beat);
    let stream = Sse::new(events).keep_alive(alive);
    let headers = [
        (header::CACHE_CONTROL, "no-cache"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, stream).into_response()
}

/// `None`: the stream is over.
fn event(live: Result<Live, BroadcastStreamRecvError>, app: &App) -> Option<Event> {
    let event = match live {
        Ok(Live::Inventory) => Event::default().event("inventory").data("{}"),
        // How the sensor does stands on every page.
        Ok(Live::Sensor) => {
            let (tone, words) = health(&app.views.sensor.load());
            let data = serde_json::json!({ "tone": tone, "health": words });
            Event::default().event("sensor").data(data.to_string())
        }
        Ok(Live::Alert(alert)) => {
            let data = serde_json::json!({ "id": alert.id, "severity": alert.severity, "summary": alert.summary });
            Event::default().event("alert").data(data.to_string())
        }
        Ok(Live::End) => return None,
        Err(BroadcastStreamRecvError::Lagged(_)) => Event::default().event("resync").data("{}"),
    };
    Some(event)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use crate::alert::Alert;
    use crate::web::{self, Live, Views};

    fn alert(n: usize) -> Live {
        let text = format!(
            r#"{{"v":1,"id":"a{n}","ts":1,"kind":"scan","severity":"high","score":1,"detector":"d","since":1,"until":1,
            "expected":0,"observed":0,"p_value":0,"log10_p":0,"summary":"{}","owasp":"","status":"open","fingerprint":"f",
            "occurrences":1,"last_seen":1,"revision":1}}"#,
            "x".repeat(4_096)
        );
        let alert: Alert = serde_json::from_str(&text).unwrap();
        Live::Alert(Arc::new(alert))
    }

    /// Reads until a text has come.
    async fn read(client: &mut TcpStream, wanted: &str) -> String {
        let (mut all, mut part) = (String::new(), vec![0; 1 << 16]);
        while !all.contains(wanted) {
            let n = client.read(&mut part).await.unwrap();
            assert!(n > 0, "the stream ended before `{wanted}`");
            all += &String::from_utf8_lossy(&part[..n]);
        }
        all
    }

    /// Over a real connection: what a client that does not read misses it is told of.
    #[tokio::test]
    async fn a_client_that_lags_is_told_to_load_anew() {
        let views = Arc::new(Views::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let settings = web::Settings {
            listen: at,
            ..web::Settings::default()
        };
        let router = web::router(views.clone(), tokio::sync::mpsc::channel(1).0, settings);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let mut client = TcpStream::connect(at).await.unwrap();
        let request = format!("GET /live HTTP/1.1\r\nHost: {at}\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        while views.live.receiver_count() == 0 {
            tokio::task::yield_now().await;
        }
        // As long as it reads, it hears everything.
        views.live.send(Live::Inventory).unwrap();
        let head = read(&mut client, "event: inventory").await;
        assert!(!head.contains("resync"), "{head}");
        // Now it reads nothing: its connection's buffers fill (some megabytes), then its place in
        // the broadcast is passed.
        for n in 0..12_000 {
            views.live.send(alert(n)).unwrap();
            tokio::task::yield_now().await;
        }
        let behind = read(&mut client, "event: resync").await;
        assert!(behind.contains("event: alert"));
        // And it hears again what comes after: how the sensor does, with its words.
        views.live.send(Live::Sensor).unwrap();
        let sensor = read(&mut client, r#""health":"No source""#).await;
        assert!(sensor.contains("event: sensor"));
    }
}
