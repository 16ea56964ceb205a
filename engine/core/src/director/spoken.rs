//! Numbers, as the recordings that speak them one after another.

use std::borrow::Cow;

use offhook_proto::PlaySource;

/// The same sources, with files in place of numbers.
pub(super) fn spelled_out(sources: &[PlaySource]) -> Cow<'_, [PlaySource]> {
    if !sources.iter().any(|source| matches!(source, PlaySource::Number { .. })) {
        return Cow::Borrowed(sources);
    }
    let mut out = Vec::with_capacity(sources.len() + 8);
    for source in sources {
        if let PlaySource::Number { value, folder } = source {
            out.extend(words(*value).into_iter().map(|word| PlaySource::File(format!("{folder}{word}.wav"))));
        } else {
            out.push(source.clone());
        }
    }
    Cow::Owned(out)
}

/// A number below a milliard in English words: `0` to `20`, the tens, `hundred`, `thousand`, `million`.
fn words(number: u32) -> Vec<Cow<'static, str>> {
    let mut words = Vec::new();
    for (unit, name) in [(1_000_000, "million"), (1_000, "thousand")] {
        let many = number / unit % 1_000;
        if many > 0 {
            below_thousand(many, &mut words);
            words.push(name.into());
        }
    }
    let rest = number % 1_000;
    if rest > 0 || words.is_empty() {
        below_thousand(rest, &mut words);
    }
    words
}

fn below_thousand(number: u32, words: &mut Vec<Cow<'static, str>>) {
    let (hundreds, rest) = (number / 100, number % 100);
    if hundreds > 0 {
        words.extend([hundreds.to_string().into(), "hundred".into()]);
    }
    match rest {
        0 if hundreds > 0 => {}
        0..=20 => words.push(rest.to_string().into()),
        _ => {
            words.push((rest / 10 * 10).to_string().into());
            if rest % 10 > 0 {
                words.push((rest % 10).to_string().into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spoken_as_people_say_them() {
        for (number, spoken) in [
            (0, "0"),
            (7, "7"),
            (13, "13"),
            (20, "20"),
            (42, "40 2"),
            (90, "90"),
            (100, "1 hundred"),
            (119, "1 hundred 19"),
            (1_000, "1 thousand"),
            (1_234, "1 thousand 2 hundred 30 4"),
            (70_005, "70 thousand 5"),
            (2_000_001, "2 million 1"),
            (999_999_999, "9 hundred 90 9 million 9 hundred 90 9 thousand 9 hundred 90 9"),
        ] {
            assert_eq!(words(number).join(" "), spoken);
        }
    }

    #[test]
    fn other_sources_stay_where_they_are() {
        let number = PlaySource::Number { value: 21, folder: "en/".into() };
        let sources = [PlaySource::SilenceMs(100), number, PlaySource::File("x.wav".into())];
        let file = |name: &str| PlaySource::File(name.into());
        let expected = [PlaySource::SilenceMs(100), file("en/20.wav"), file("en/1.wav"), file("x.wav")];
        assert_eq!(*spelled_out(&sources), expected);
        assert!(matches!(spelled_out(&expected), Cow::Borrowed(_)));
    }
}
