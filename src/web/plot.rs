//! Plots over time with a scale, a legend, and what each bar stands for under the pointer: SVG of
//! classes and attributes only. The table behind a plot is the page's.

use std::fmt::Write;

use askama::filters::{Html, escape};

pub(super) const WIDTH: f64 = 720.0;
pub(super) const HEIGHT: f64 = 150.0;

/// One plot: what is drawn stands in layers, the first at the back.
pub(super) struct Plot<'a> {
    pub(super) title: &'a str,
    /// What it shows in words, for those who do not see it.
    pub(super) words: String,
    pub(super) layers: Vec<Layer>,
    /// Of each bar, where there is something to say.
    pub(super) hints: Vec<Option<String>>,
    /// The value as the scale has it.
    pub(super) unit: fn(f64) -> String,
    /// Steps of the scale multiply: of lines whose values lie decades apart.
    pub(super) log: bool,
    /// What stands below the beginning.
    pub(super) from: &'a str,
}

pub(super) struct Layer {
    /// Class of the drawing and of its key.
    pub(super) class: &'static str,
    pub(super) name: &'static str,
    pub(super) shape: Shape,
}

pub(super) enum Shape {
    /// On top of the bars before it.
    Bars(Vec<f64>),
    /// It ends where nothing is known.
    Line(Vec<Option<f64>>),
    /// Between two values.
    Band(Vec<Option<(f64, f64)>>),
}

impl Shape {
    fn most(&self) -> f64 {
        match self {
            // Bars are added up by the plot.
            Self::Bars(_) => 0.0,
            Self::Line(values) => values.iter().flatten().copied().fold(0.0, f64::max),
            Self::Band(values) => values.iter().flatten().map(|v| v.1).fold(0.0, f64::max),
        }
    }

    /// Of lines, above nothing.
    fn least(&self) -> f64 {
        match self {
            Self::Line(values) => {
                let above = values.iter().flatten().copied().filter(|v| *v > 0.0);
                above.fold(f64::INFINITY, f64::min)
            }
            Self::Bars(_) | Self::Band(_) => f64::INFINITY,
        }
    }
}

impl Plot<'_> {
    pub(super) fn draw(&self) -> String {
        let bars = self.hints.len().max(1);
        let mut sums = vec![0.0; bars];
        for layer in &self.layers {
            if let Shape::Bars(values) = &layer.shape {
                sums.iter_mut().zip(values).for_each(|(sum, v)| *sum += v);
            }
        }
        let lines = self.layers.iter().map(|layer| layer.shape.most());
        let top = nice(sums.iter().copied().chain(lines).fold(0.0, f64::max));
        let least = self.layers.iter().map(|layer| layer.shape.least());
        let least = least.fold(top, f64::min).max(top / 1e6);
        let scale = Scale {
            bottom: self.log.then(|| nice(least) / 2.0),
            top,
            step: WIDTH / bars as f64,
        };
        let mut out = String::new();
        let (title, words) = (text(self.title), text(&self.words));
        let _ = write!(
            out,
            r#"<figure class="plot"><div class="plot-head"><h3>{title}{}</h3><ul class="keys">"#,
            if self.log {
                r#" <span class="sub">logarithmic scale</span>"#
            } else {
                ""
            }
        );
        for layer in &self.layers {
            let _ = write!(
                out,
                r#"<li><span class="key {}"></span>{}</li>"#,
                layer.class, layer.name
            );
        }
        let (whole, half) = (text(&(self.unit)(top)), text(&(self.unit)(scale.middle())));
        let _ = write!(
            out,
            r#"</ul></div><div class="plot-area"><span class="y">{whole}</span><span class="y half">{half}</span>"#
        );
        if let Some(bottom) = scale.bottom {
            let bottom = text(&(self.unit)(bottom));
            let _ = write!(out, r#"<span class="y least">{bottom}</span>"#);
        }
        let _ = write!(
            out,
            r#"<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{title}: {words}">"#
        );
        for y in [0.0, 0.5, 1.0] {
            let y = HEIGHT * y;
            let _ = write!(out, r#"<path class="axis" d="M0 {y}H{WIDTH}"/>"#);
        }
        let mut below = vec![0.0; bars];
        for layer in &self.layers {
            let d = match &layer.shape {
                Shape::Bars(values) => scale.bars(values, &mut below),
                Shape::Line(values) => scale.line(values),
                Shape::Band(values) => scale.band(values),
            };
            if !d.is_empty() {
                let _ = write!(out, r#"<path class="{}" d="{d}"/>"#, layer.class);
            }
        }
        out.push_str(r#"<g class="hits">"#);
        for (at, hint) in self.hints.iter().enumerate() {
            if let Some(hint) = hint {
                let _ = write!(
                    out,
                    r#"<rect x="{:.1}" width="{:.1}" height="{HEIGHT}"><title>{}</title></rect>"#,
                    scale.x(at),
                    scale.step,
                    text(hint)
                );
            }
        }
        let _ = write!(
            out,
            r#"</g></svg></div><figcaption><span>{}</span><span>{words}</span><span>now</span></figcaption></figure>"#,
            text(self.from)
        );
        out
    }
}

struct Scale {
    /// Where steps multiply, the value at the bottom; else that is nothing.
    bottom: Option<f64>,
    top: f64,
    step: f64,
}

impl Scale {
    fn x(&self, at: usize) -> f64 {
        at as f64 * self.step
    }

    fn y(&self, value: f64) -> f64 {
        let part = match self.bottom {
            Some(bottom) => (value / bottom).ln() / (self.top / bottom).ln(),
            None => value / self.top,
        };
        // What is no number is nothing.
        let part = if part.is_nan() { 0.0 } else { part };
        HEIGHT - part.clamp(0.0, 1.0) * HEIGHT
    }

    fn middle(&self) -> f64 {
        self.bottom
            .map_or(self.top / 2.0, |bottom| (bottom * self.top).sqrt())
    }

    fn bars(&self, values: &[f64], below: &mut [f64]) -> String {
        let mut d = String::new();
        let width = (self.step * 0.84).max(0.5);
        for (at, (value, below)) in values.iter().zip(below).enumerate() {
            if *value <= 0.0 {
                continue;
            }
            let (bottom, top) = (self.y(*below), self.y(*below + value));
            let _ = write!(
                d,
                "M{:.1} {bottom:.1}V{top:.1}h{width:.1}V{bottom:.1}z",
                self.x(at)
            );
            *below += value;
        }
        d
    }

    /// Through the middle of the bars; one alone is as wide as its bar.
    fn line(&self, values: &[Option<f64>]) -> String {
        let mut d = String::new();
        for run in runs(values) {
            let (Some(first), Some(last)) = (run.first(), run.last()) else {
                continue;
            };
            let _ = write!(d, "M{:.1} {:.1}", self.x(first.0), self.y(first.1));
            for (at, value) in &run {
                let _ = write!(
                    d,
                    "L{:.1} {:.1}",
                    self.x(*at) + self.step / 2.0,
                    self.y(*value)
                );
            }
            let _ = write!(d, "L{:.1} {:.1}", self.x(last.0 + 1), self.y(last.1));
        }
        d
    }

    fn band(&self, values: &[Option<(f64, f64)>]) -> String {
        let mut d = String::new();
        for run in runs(values) {
            let mut back = String::new();
            for (n, (at, (low, high))) in run.iter().enumerate() {
                let x = self.x(*at) + self.step / 2.0;
                let _ = write!(
                    d,
                    "{}{x:.1} {:.1}",
                    if n == 0 { "M" } else { "L" },
                    self.y(*high)
                );
                back.insert_str(0, &format!("L{x:.1} {:.1}", self.y(*low)));
            }
            if !back.is_empty() {
                let _ = write!(d, "{back}z");
            }
        }
        d
    }
}

/// What is known without a gap between, with its places.
fn runs<T: Copy>(values: &[Option<T>]) -> Vec<Vec<(usize, T)>> {
    let mut out = vec![Vec::new()];
    for (at, value) in values.iter().enumerate() {
        match (value, out.last_mut()) {
            (Some(value), Some(run)) => run.push((at, *value)),
            (None, Some(run)) if !run.is_empty() => out.push(Vec::new()),
            _ => {}
        }
    }
    out
}

/// The end of a scale, such that its half is a number that people count in.
fn nice(most: f64) -> f64 {
    if !most.is_finite() || most <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(most.log10().floor());
    let steps = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0].map(|step| step * power);
    let fits = steps.into_iter().find(|step| *step >= most * 0.999);
    fits.unwrap_or(most)
}

fn text(plain: &str) -> String {
    escape(plain, Html)
        .map(|text| text.to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_where_people_count() {
        for (most, end) in [
            (0.0, 1.0),
            (0.3, 0.3),
            (1.0, 1.0),
            (3.0, 3.0),
            (1_100.0, 1_500.0),
        ] {
            assert!((nice(most) - end).abs() < 1e-9, "{most}");
        }
    }

    #[test]
    fn where_steps_multiply_the_middle_is_the_geometric_one() {
        let scale = Scale {
            bottom: Some(1.0),
            top: 100.0,
            step: 1.0,
        };
        assert!((scale.middle() - 10.0).abs() < 1e-9);
        assert!((scale.y(10.0) - HEIGHT / 2.0).abs() < 1e-9);
        assert_eq!(
            (scale.y(0.0), scale.y(0.5), scale.y(1e9)),
            (HEIGHT, HEIGHT, 0.0)
        );
    }

    #[test]
    fn bars_stand_on_each_other_and_lines_end_where_nothing_is_known() {
        let layer = |class, shape| Layer {
            class,
            name: class,
            shape,
        };
        let plot = Plot {
            title: "Requests",
            words: "<4>".into(),
            layers: vec![
                layer(
                    "band",
                    Shape::Band(vec![Some((0.0, 10.0)), Some((0.0, 10.0)), None, None]),
                ),
                layer("seen", Shape::Bars(vec![5.0, 0.0, 0.0, 0.0])),
                layer("failed", Shape::Bars(vec![5.0, 0.0, 0.0, 0.0])),
                layer("p50", Shape::Line(vec![None, Some(10.0), None, Some(0.0)])),
            ],
            hints: vec![Some("a&b".into()), None, None, None],
            unit: |v| v.to_string(),
            log: false,
            from: "then",
        };
        let svg = plot.draw();
        for part in [
            r#"<path class="band" d="M90.0 0.0L270.0 0.0L270.0 150.0L90.0 150.0z"/>"#,
            r#"<path class="seen" d="M0.0 150.0V75.0h151.2V150.0z"/>"#,
            r#"<path class="failed" d="M0.0 75.0V0.0h151.2V75.0z"/>"#,
            r#"d="M180.0 0.0L270.0 0.0L360.0 0.0M540.0 150.0L630.0 150.0L720.0 150.0"/>"#,
            "<title>a&#38;b</title>",
            "Requests: &#60;4&#62;",
        ] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
    }
}
