//! A message's body, and its end.

use super::{Answer, Connection, Half, State};
use crate::flow::Side;
use crate::http::Out;
use crate::http::body::Progress;
use crate::http::probe::{Probe, probe};
use crate::http::record::{self, emit};
use crate::time::Timestamp;

impl Connection {
    /// A segment begins where a body should: whether it is the next message instead. A server may
    /// refuse a body that waits for its word, and the answer to a HEAD that was not seen has none.
    pub(super) fn unsent(&mut self, side: Side, data: &[u8]) -> bool {
        let half = self.half(side);
        let none = half.bytes == 0 && matches!(half.state, State::Body(_));
        let expects = half.expects;
        match self.answer.as_ref().filter(|_| self.client != Some(side)) {
            Some(answer) => none && answer.x.partial.no_request && probe(data) == Probe::Response,
            None => none && expects && probe(data) == Probe::Request,
        }
    }

    /// Feeds the body at hand; returns the bytes used.
    pub(super) fn body(&mut self, side: Side, ts: Timestamp, data: &[u8], out: &mut Out) -> usize {
        let Half {
            state,
            bytes,
            sample,
            messages,
            events,
            ..
        } = self.half(side);
        let State::Body(body) = state else {
            return data.len();
        };
        let fed = body.feed(data, |content| {
            *bytes += content.len() as u64;
            if let Some(sample) = sample {
                sample.feed(content);
            }
            if let Some(messages) = messages {
                messages.feed(content);
            }
            if let Some(events) = events {
                events.feed(content, ts, out);
            }
        });
        match fed.state {
            Progress::More => self.show(side, ts, out),
            Progress::Done => self.message_over(side, ts, out),
            Progress::Broken => {
                self.half(side).cut = true;
                self.break_off(side, ts, out);
                return data.len();
            }
        }
        fed.used
    }

    /// An event stream that goes on for long is shown before its end.
    pub(super) fn show(&mut self, side: Side, now: Timestamp, out: &mut Out) {
        if let Some(events) = &mut self.halves[side as usize].events
            && self.answer.as_ref().is_some_and(|a| !a.request_open)
            && let Some(end) = events.show(now)
            && let Some(Answer { mut x, .. }) = self.answer.take()
        {
            (x.open, x.end) = (true, end);
            emit(x, out);
        }
    }

    /// The message at hand of this side is complete, or as complete as it will get.
    pub(super) fn message_over(&mut self, side: Side, ts: Timestamp, out: &mut Out) {
        self.show(side, ts, out);
        if self.client == Some(side) {
            self.request_over(side, ts, out);
        } else {
            self.response_over(side, ts, out);
        }
    }

    fn request_over(&mut self, side: Side, ts: Timestamp, out: &mut Out) {
        let half = self.half(side);
        let (bytes, cut, sample) = (half.bytes, half.cut, half.sample.take());
        let messages = half.messages.take();
        half.begin(None);
        let open_answer = self.answer.as_mut().filter(|a| a.request_open);
        let (x, done) = match (self.pipeline.last(), open_answer) {
            (Some(last), _) if last.done.is_none() => (&mut last.x, Some(&mut last.done)),
            (_, Some(answer)) => {
                answer.request_open = false;
                (&mut answer.x, None)
            }
            _ => return,
        };
        x.request_bytes = Some(bytes);
        x.partial.truncated |= cut;
        if let Some(messages) = messages {
            messages.end_request(x);
        }
        record::look_at_body(x, sample, cut, out);
        if let Some(done) = done {
            *done = Some(ts);
            self.pipeline.weigh();
        } else if let Some(mut answer) = self.answer.take_if(|a| a.early) {
            answer.x.end = ts;
            emit(answer.x, out);
        }
    }

    fn response_over(&mut self, side: Side, ts: Timestamp, out: &mut Out) {
        let waits = self.request_goes_on(side.other());
        let half = self.half(side);
        let (bytes, cut, sample) = (half.bytes, half.cut, half.sample.take());
        let (messages, events) = (half.messages.take(), half.events.take());
        half.begin(None);
        if let Some(mut answer) = self.answer.take() {
            let x = &mut answer.x;
            x.response_bytes = Some(bytes);
            if let Some(messages) = messages {
                messages.end_response(x);
            }
            record::look_at_answer(x, sample, cut, out);
            x.partial.truncated |= cut;
            if answer.request_open && waits && events.is_none() {
                answer.early = true;
                self.answer = Some(answer);
            } else {
                self.cut_request(answer, ts, out);
            }
        }
        if let Some(events) = events {
            events.over(ts, out);
        }
    }

    /// Whether the rest of a request's body is sent though it was answered: a client that keeps the
    /// connection has to (RFC 9112, section 9.3). Not where it waited for the server's word, nor
    /// where the answer makes the connection another protocol's.
    fn request_goes_on(&self, client: Side) -> bool {
        let half = &self.halves[client as usize];
        let refused = half.expects && half.bytes == 0;
        let switched = self.answer.as_ref().is_some_and(|a| {
            let tunnel = a.x.method.as_deref() == Some("CONNECT") && a.x.status_class() == 2;
            tunnel || a.x.status == Some(101)
        });
        matches!(half.state, State::Body(_)) && !refused && !switched
    }

    /// Tells an exchange whose response is over; of a request that is not, no more will come.
    pub(super) fn cut_request(&mut self, answer: Answer, ts: Timestamp, out: &mut Out) {
        let mut x = answer.x;
        if answer.request_open {
            x.request_bytes = self.client.map(|client| self.half(client).bytes);
            x.partial.truncated = true;
        }
        x.end = ts;
        emit(x, out);
    }
}
