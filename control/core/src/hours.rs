//! Office hours in a time zone (CB-18).

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

/// When a service is open. Without spans it always is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OfficeHours {
    /// IANA name of the time zone; empty = UTC.
    pub time_zone: String,
    /// Weekly spans.
    pub spans: Vec<Span>,
    /// Days on which it is closed, `YYYY-MM-DD` there.
    pub closed: Vec<String>,
}

/// One span of one weekday.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// 0 is Monday.
    pub weekday: u8,
    /// Minutes since midnight.
    pub from_min: u16,
    /// Minutes since midnight, not included; 1,440 is midnight.
    pub to_min: u16,
}

impl OfficeHours {
    /// Reads spans such as `mon-fri 09:00-17:30` and days such as `2026-12-25`.
    ///
    /// # Errors
    /// A sentence that names what is wrong.
    pub fn parse(time_zone: &str, spans: &[String], closed: &[String]) -> Result<Self, String> {
        zone(time_zone).ok_or_else(|| format!("there is no time zone {time_zone}"))?;
        let mut hours = Self { time_zone: time_zone.to_owned(), spans: Vec::new(), closed: closed.to_vec() };
        for text in spans {
            let wrong = || format!("\"{text}\" is no span such as \"mon-fri 09:00-17:30\"");
            hours.spans.extend(parse_spans(text).ok_or_else(wrong)?);
        }
        match closed.iter().find(|day| day.parse::<Date>().is_err()) {
            Some(day) => Err(format!("\"{day}\" is no day such as \"2026-12-25\"")),
            None => Ok(hours),
        }
    }

    /// Whether there is a time zone of this name.
    pub fn is_zone(name: &str) -> bool {
        zone(name).is_some()
    }

    /// Open on every day between two minutes since midnight, in a zone that exists; empty = UTC.
    pub fn every_day(time_zone: &str, from_min: u16, to_min: u16) -> Self {
        let spans = (0..7).map(|weekday| Span { weekday, from_min, to_min }).collect();
        Self { time_zone: time_zone.to_owned(), spans, closed: Vec::new() }
    }

    /// The first moment from `unix_ms` on at which it is open, both in milliseconds since 1970 UTC; none within a year.
    ///
    /// Where clocks are set forward over a limit, the first moment behind the gap counts.
    pub fn next_open_ms(&self, unix_ms: u64) -> Option<u64> {
        self.next_span_ms(unix_ms).map(|(open_ms, _)| open_ms)
    }

    /// The same, and the end of the span that begins or goes on then, which is not included.
    pub(crate) fn next_span_ms(&self, unix_ms: u64) -> Option<(u64, u64)> {
        if self.spans.is_empty() {
            return Some((unix_ms, u64::MAX));
        }
        let zone = zone(&self.time_zone)?;
        let now = Timestamp::from_millisecond(i64::try_from(unix_ms).ok()?).ok()?;
        let today = now.to_zoned(zone.clone()).date();
        let mut spans: Vec<&Span> = self.spans.iter().collect();
        spans.sort_by_key(|span| span.from_min);
        for day in 0..DAYS {
            let date = today.checked_add(day.days()).ok()?;
            let weekday = u8::try_from(date.weekday().to_monday_zero_offset()).ok()?;
            if self.closed.iter().any(|closed| closed.parse().is_ok_and(|closed: Date| closed == date)) {
                continue;
            }
            for span in spans.iter().filter(|span| span.weekday == weekday) {
                let (from, to) = (moment(date, span.from_min, &zone)?, moment(date, span.to_min, &zone)?);
                if now < to {
                    let [open_ms, close_ms] =
                        [from.max(now), to].map(|moment| u64::try_from(moment.as_millisecond()).ok());
                    return open_ms.zip(close_ms);
                }
            }
        }
        None
    }

    /// Whether it is open at a moment, in milliseconds since 1970 UTC.
    pub fn is_open(&self, unix_ms: u64) -> bool {
        self.next_open_ms(unix_ms) == Some(unix_ms)
    }
}

fn zone(name: &str) -> Option<TimeZone> {
    if name.is_empty() { Some(TimeZone::UTC) } else { TimeZone::get(name).ok() }
}

fn moment(date: Date, minute: u16, zone: &TimeZone) -> Option<Timestamp> {
    let (date, minute) =
        if minute == DAY_MIN { (date.checked_add(1.day()).ok()?, 0) } else { (date, minute) };
    let time = Time::new(i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?, 0, 0).ok()?;
    Some(date.to_datetime(time).to_zoned(zone.clone()).ok()?.timestamp())
}

fn parse_spans(text: &str) -> Option<Vec<Span>> {
    let (days, clock) = text.trim().split_once(' ')?;
    let (first, last) = days.split_once('-').unwrap_or((days, days));
    let (first, last) = (weekday(first)?, weekday(last)?);
    let (from, to) = clock.trim().split_once('-')?;
    let (from_min, to_min) = (minute(from)?, minute(to)?);
    let fits = first <= last && from_min < to_min;
    fits.then(|| (first..=last).map(|weekday| Span { weekday, from_min, to_min }).collect())
}

fn weekday(name: &str) -> Option<u8> {
    let at = WEEKDAYS.iter().position(|day| day.eq_ignore_ascii_case(name))?;
    u8::try_from(at).ok()
}

fn minute(clock: &str) -> Option<u16> {
    let (hour, minute) = clock.split_once(':')?;
    let plain = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(hour) || !plain(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= DAY_MIN).then_some(total)
}

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY_MIN: u16 = 1_440;
/// How far ahead an opening is looked for.
const DAYS: i32 = 370;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar;

    fn opens(hours: &OfficeHours, at: &str) -> String {
        let at_ms = calendar::parse(at).expect("a date");
        hours.next_open_ms(at_ms).map_or("never".to_owned(), calendar::write)
    }

    fn amsterdam() -> OfficeHours {
        let spans = ["mon-fri 09:00-17:30".to_owned(), "sat 10:00-14:00".to_owned()];
        OfficeHours::parse("Europe/Amsterdam", &spans, &["2026-12-25".to_owned()]).expect("hours")
    }

    #[test]
    fn cb_18_office_hours_are_those_of_the_time_zone_in_summer_and_in_winter() {
        let hours = amsterdam();
        assert_eq!(opens(&hours, "2026-07-01T06:59:00Z"), "2026-07-01T07:00:00.000Z", "09:00 is 07:00 UTC");
        assert_eq!(opens(&hours, "2026-11-20T07:30:00Z"), "2026-11-20T08:00:00.000Z", "09:00 is 08:00 UTC");
        assert_eq!(opens(&hours, "2026-11-20T12:00:00Z"), "2026-11-20T12:00:00.000Z", "open");
        assert_eq!(
            opens(&hours, "2026-11-20T16:30:00Z"),
            "2026-11-21T09:00:00.000Z",
            "Friday 17:30: Saturday"
        );
        assert_eq!(opens(&hours, "2026-11-21T13:00:00Z"), "2026-11-23T08:00:00.000Z", "over the Sunday");
        assert_eq!(opens(&hours, "2026-12-24T17:00:00Z"), "2026-12-26T09:00:00.000Z", "over a closed day");
        assert!(OfficeHours::default().is_open(0));
    }

    #[test]
    fn cb_18_hours_that_are_none_are_refused_by_name() {
        let refused = |zone: &str, span: &str, closed: &str| {
            let lists = |text: &str| if text.is_empty() { Vec::new() } else { vec![text.to_owned()] };
            OfficeHours::parse(zone, &lists(span), &lists(closed)).expect_err("refused")
        };
        assert!(refused("Europe/Nowhere", "", "").contains("Europe/Nowhere"));
        for span in ["mon", "mon 9:00-17:00", "fri-mon 09:00-10:00", "mon 10:00-09:00", "mon 00:00-24:01"] {
            assert!(refused("", span, "").contains(span));
        }
        assert!(refused("", "", "2026-02-30").contains("2026-02-30"));
    }

    #[test]
    fn a_span_to_midnight_ends_at_midnight() {
        let hours = OfficeHours::parse("", &["sun 20:00-24:00".to_owned()], &[]).expect("hours");
        assert_eq!(opens(&hours, "2026-11-22T23:59:59Z"), "2026-11-22T23:59:59.000Z");
        assert_eq!(opens(&hours, "2026-11-23T00:00:00Z"), "2026-11-29T20:00:00.000Z");
    }
}
