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
use super::routes::{App, Shared};
use super::who::Who;
use super::{Live, gate};

/// Streams at once; each costs a connection and a place in the broadcast.
const MAX_CLIENTS: usize = 64;

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
    // Ends with the session or token that opened it; something is told each second.
    let still = move |_: &_| gate::is_still(&guest.0, &who);
    let events = BroadcastStream::new(app.views.live.subscribe()).take_while(still);
    let events = events.map(|live| Ok::<_, Infallible>(event(live)));
    let stream = Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)));
    let headers = [
        (header::CACHE_CONTROL, "no-cache"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, stream).into_response()
}

fn event(live: Result<Live, BroadcastStreamRecvError>) -> Event {
    match live {
        Ok(Live::Inventory) => Event::default().event("inventory").data("{}"),
        Ok(Live::Sensor) => Event::default().event("sensor").data("{}"),
        Ok(Live::Alert(alert)) => {
            let data = serde_json::json!({ "id": alert.id, "severity": alert.severity, "summary": alert.summary });
            Event::default().event("alert").data(data.to_string())
        }
        Err(BroadcastStreamRecvError::Lagged(_)) => Event::default().event("resync").data("{}"),
    }
}
