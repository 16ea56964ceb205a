//! The configuration file: read once, every mistake reported at once with its line.

mod compliance;
mod detection;
mod flows;
mod media;
mod sections;
mod table;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use offhook_control_core::api::AgentBody;
use offhook_control_core::{AgentId, Config as CoreConfig};
use offhook_proto::Dscp;
use toml::de::DeTable;

use crate::sip::{Algorithm, Security, TrunkConfig};
pub use table::Mistake;
use table::{Mistakes, Table};

/// Everything that `offhook-control` is configured with.
#[derive(Debug)]
pub struct Config {
    /// `[sip]`.
    pub sip: Sip,
    /// `[trunk]`, if there is one.
    pub trunk: Option<TrunkConfig>,
    /// `[engine]`, or one for each `[[engine]]`.
    pub engines: Vec<Engine>,
    /// `[journal]` path.
    pub journal: PathBuf,
    /// `[http]`.
    pub http: Http,
    /// What the core decides by.
    pub core: CoreConfig,
    /// `[[agent]]`: created at start, or changed to this when they exist.
    pub agents: Vec<(AgentId, AgentBody)>,
}

/// The SIP side.
#[derive(Debug)]
pub struct Sip {
    /// UDP and TCP.
    pub listen: SocketAddr,
    /// What peers are told.
    pub advertise: Option<SocketAddr>,
    /// Realm of the registrar.
    pub realm: String,
    /// What phones are challenged with, in this order.
    pub digests: Vec<Algorithm>,
    /// RFC 4028, in seconds; none = no timers of our own.
    pub session_expires_s: Option<u32>,
    /// Seconds between two OPTIONS to the peer of a call; none = it is not asked.
    pub options_every_s: Option<u32>,
    /// In what is sent over UDP.
    pub dscp: Dscp,
    /// Where registrations are kept.
    pub bindings: Option<PathBuf>,
    /// On SIGTERM, hang up everybody; else dialogs are kept for the next start.
    pub hang_up_on_exit: bool,
    /// Whether calls with phones are encrypted.
    pub srtp: Security,
}

/// One engine.
#[derive(Debug)]
pub struct Engine {
    /// Its control socket.
    pub address: SocketAddr,
    /// File with the shared key.
    pub key_file: Option<PathBuf>,
    /// Lease of our legs, in milliseconds.
    pub lease_ms: u32,
    /// Milliseconds without a word after which it counts as dead.
    pub silent_after_ms: u32,
}

/// The HTTP side.
#[derive(Debug)]
pub struct Http {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Bearer token; none = open, on loopback only.
    pub token: Option<String>,
}

/// Why a configuration was refused.
#[derive(Debug)]
pub enum ConfigError {
    /// The file cannot be read.
    Unreadable(PathBuf, std::io::Error),
    /// Everything that is wrong in it.
    Mistakes(PathBuf, Vec<Mistake>),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => write!(f, "{} cannot be read: {error}", path.display()),
            Self::Mistakes(path, mistakes) => {
                for mistake in mistakes {
                    let Mistake { line, column, message } = mistake;
                    writeln!(f, "{}:{line}:{column}: {message}", path.display())?;
                }
                let count = mistakes.len();
                write!(f, "{count} mistake{} in {}", if count == 1 { "" } else { "s" }, path.display())
            }
        }
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads and checks a file. Relative paths in it are taken from its folder.
    ///
    /// # Errors
    /// [`ConfigError`] when the file cannot be read, or with everything that is wrong in it.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable(path.to_owned(), error))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        Self::parse(&text, folder).map_err(|mistakes| ConfigError::Mistakes(path.to_owned(), mistakes))
    }

    /// Checks a file's text.
    ///
    /// # Errors
    /// Everything that is wrong in it, in the order of the file.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, Vec<Mistake>> {
        let mistakes = Mistakes::new(text);
        let (document, syntax) = DeTable::parse_recoverable(text);
        for error in syntax {
            mistakes.add(error.span().map_or(0, |span| span.start), error.message().to_owned());
        }
        let config = sections::read(Table::root(&document, mistakes.clone()), folder);
        let found = mistakes.into_sorted();
        if found.is_empty() { Ok(config) } else { Err(found) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const EXAMPLE: &str = include_str!("../example.toml");

    #[test]
    fn the_example_is_valid() {
        let config = Config::parse(EXAMPLE, Path::new(".")).expect("the example has no mistake");
        assert_eq!(config.core.queues.len(), 1);
    }

    #[test]
    fn each_setting_of_agents_is_read_and_stands_in_the_example_with_its_default() {
        let table = "ring_timeout_s = 31\npin_attempts = 4\npin_times = 4\npin_timeout_s = 61\nestablish_after_break = false\n\
                     idle_timeout_min = 1\nidle = \"none\"\nsilent_after_ms = 3001\npark_keep_one_in = 16\n\
                     redial_delay_ms = 1001\nredial_attempts = 4\nsilent_in_call_ms = 7001\none_way_after_ms = 5001\nmedia_timeout_s = 1\n\
                     resume_grace_s = 21\nhold_timeout_s = 61\nconsult_timeout_s = 301\n";
        let of = |text: &str| {
            let config = Config::parse(text, Path::new(".")).expect("no mistake");
            serde_json::to_value(config.core.agents).expect("JSON")
        };
        let read = of(&format!("[sip]\n[engine]\n[agents]\n{table}"));
        let default = of("[sip]\n[engine]\n");
        for (field, value) in default.as_object().expect("an object") {
            assert_ne!(&read[field], value, "{field} is not read");
        }
        assert_eq!(of(EXAMPLE), default);
        for key in table.lines().map(|line| line.split_once('=').expect("a setting").0) {
            assert!(EXAMPLE.lines().any(|line| line.starts_with(key)), "{key}");
        }
    }

    #[test]
    fn settings_that_the_example_comments_out_are_known_where_they_stand() {
        let is_setting = |line: &&str| {
            let key = line.strip_prefix("# ").and_then(|line| line.split_once(" = ")).map(|(key, _)| key);
            key.is_some_and(|key| key.chars().all(|char| char.is_ascii_lowercase() || char == '_'))
        };
        let mut settings = 0;
        for (index, setting) in EXAMPLE.lines().enumerate().filter(|(_, line)| is_setting(line)) {
            settings += 1;
            let lines = EXAMPLE.lines().enumerate();
            let text: String = lines
                .map(|(at, line)| if at == index { &line[2..] } else { line }.to_owned() + "\n")
                .collect();
            let mistakes = Config::parse(&text, Path::new(".")).err().unwrap_or_default();
            assert!(
                mistakes.iter().all(|mistake| !mistake.message.contains("not known")),
                "{setting}: {mistakes:?}"
            );
        }
        assert!(settings > 5);
    }

    #[test]
    fn every_setting_that_is_known_stands_in_the_example() {
        const UNKNOWN: &str = "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz";
        let is_header = |line: &str| line.starts_with('[');
        let (mut path, mut sections) = (String::new(), BTreeMap::<String, Vec<&str>>::new());
        let mut text = format!("{UNKNOWN} = 0\n");
        for line in EXAMPLE.lines() {
            text += &format!("{line}\n");
            let plain = line.strip_prefix("# ").unwrap_or(line);
            if is_header(line) {
                plain.trim_matches(['[', ']']).clone_into(&mut path);
                text += &format!("{UNKNOWN} = 0\n");
            }
            sections.entry(path.clone()).or_default().push(plain);
        }
        let stands = |section: &str, key: &str| {
            let table = if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
            let mut lines = sections.get(section).into_iter().flatten();
            sections.contains_key(&table) || lines.any(|line| line.starts_with(&format!("{key} = ")))
        };
        let mistakes = Config::parse(&text, Path::new(".")).expect_err("nothing is known by that name");
        let mut known = 0;
        for mistake in &mistakes {
            let (place, keys) =
                mistake.message.split_once("; known here: ").expect("the known ones are told");
            let (place, _) = place.split_once(UNKNOWN).expect("nothing else is wrong");
            let place: String =
                place.chars().filter(|char| char.is_ascii_lowercase() || "._".contains(*char)).collect();
            let place = place.trim_end_matches('.');
            for key in keys.split(", ") {
                known += 1;
                // A queue has those of a service for the calls of its own.
                let there = stands(place, key) || (place == "queue" && stands("service", key));
                assert!(there, "{place}.{key} is known, and not in the example");
            }
        }
        assert!(known > 150, "{known}: {mistakes:#?}");
    }

    #[test]
    fn five_mistakes_are_reported_at_once_each_with_its_line() {
        let text = "[sip]\nlisten = \"nowhere\"\nrelm = \"x\"\n\n[engine]\nlease_ms = 10\n\n[[queue]]\nskill = 7\n\n\
                    [[service]]\nname = \"cb\"\nqueue = \"missing\"\n";
        let mistakes = Config::parse(text, Path::new(".")).expect_err("it has mistakes");
        let lines: Vec<_> = mistakes.iter().map(|mistake| mistake.line).collect();
        for line in [2, 3, 6, 8, 9, 13] {
            assert!(lines.contains(&line), "no mistake in line {line}: {mistakes:#?}");
        }
        assert!(
            mistakes.iter().any(|mistake| mistake.message.contains("did you mean realm?")),
            "{mistakes:#?}"
        );
    }

    #[test]
    fn cb_09_a_service_gives_codes_only_beside_an_access_number() {
        let base = "[sip]\n[engine]\n[[queue]]\nname = \"sales\"\ndnis = [\"100\"]\n\
                    [[service]]\nname = \"cb\"\nqueue = \"sales\"\nprovide_code = true\n";
        let mistakes = Config::parse(base, Path::new(".")).expect_err("nobody could be asked");
        assert!(mistakes.iter().any(|mistake| mistake.message.contains("provide_code")), "{mistakes:#?}");
        let text = format!("{base}access_number = \"100\"\n");
        let config = Config::parse(&text, Path::new(".")).expect("no mistake");
        assert!(config.core.services[0].provide_code);
    }

    #[test]
    fn by_08_the_rules_for_calling_are_read_and_mistakes_in_them_named() {
        let base = "[sip]\n[engine]\n[[queue]]\nname = \"sales\"\n";
        let rules = |text: &str| {
            let text = format!("{base}[compliance]\n{text}");
            Config::parse(&text, Path::new(".")).map(|config| config.core.compliance).map_err(|mistakes| {
                mistakes.into_iter().map(|mistake| mistake.message).collect::<Vec<_>>().join("; ")
            })
        };
        let read = rules(
            "enforce = [\"calling_hours\"]\ncalling_hours = \"09:00-20:30\"\ntime_zones = { 1212 = \"America/New_York\" }\n",
        )
        .expect("rules");
        assert_eq!((read.calling_hours_min, read.enforce.len()), ((540, 1_230), 1));
        assert_eq!(read.time_zones["1212"], ["America/New_York"]);
        for (text, word) in [
            ("enforce = [\"kindness\"]", "enforce"),
            ("enforce_callbacks = [\"kindness\"]", "enforce_callbacks"),
            ("calling_hours = \"21:00-08:00\"", "calling_hours"),
            ("default_time_zone = \"Europe/Nowhere\"", "default_time_zone"),
            ("time_zones = { 1x = \"UTC\" }", "1x"),
            ("time_zones = { 1 = \"Mars\" }", "time zones"),
        ] {
            let message = rules(text).expect_err("it is refused");
            assert!(message.contains(word), "{text}: {message}");
        }
    }

    #[test]
    fn a_broken_file_is_a_mistake_with_its_line_and_never_a_panic() {
        for text in ["[sip\n", "a = \n", "= 3", "[[[", "x = 'é\n", "\u{feff}[sip]\n[sip]\n", "[[sip]]\n"] {
            assert!(Config::parse(text, Path::new(".")).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_code_point_is_read_by_name_and_by_number() {
        let read = |line: &str| Config::parse(&format!("[sip]\n{line}\n[engine]\n"), Path::new("."));
        for (line, number) in [("", 24), ("dscp = \"ef\"", 46), ("dscp = \"AF31\"", 26), ("dscp = 0", 0)] {
            assert_eq!(read(line).expect("it is valid").sip.dscp.number(), number, "{line}");
        }
        for line in ["dscp = 64", "dscp = \"cs8\"", "dscp = true"] {
            let mistakes = read(line).expect_err("it is refused");
            assert!(mistakes.iter().any(|mistake| mistake.message.contains("dscp")), "{mistakes:#?}");
        }
    }

    #[test]
    fn a_file_without_a_name_is_a_mistake() {
        let text = "[sip]\nbindings = \"\"\n[engine]\nkey_file = \"\"\n[journal]\npath = \"\"\n";
        let mistakes = Config::parse(text, Path::new(".")).expect_err("three names are missing");
        let told: Vec<_> = mistakes.iter().map(|mistake| (mistake.line, mistake.message.as_str())).collect();
        assert_eq!(
            told,
            [
                (2, "sip.bindings must not be empty"),
                (4, "engine.key_file must not be empty"),
                (6, "journal.path must not be empty"),
            ]
        );
    }

    #[test]
    fn what_phones_are_challenged_with_is_read_in_its_order() {
        let read = |line: &str| Config::parse(&format!("[sip]\n{line}\n[engine]\n"), Path::new("."));
        let (md5, sha256) = (Algorithm::Md5, Algorithm::Sha256);
        let cases = [
            ("", vec![md5, sha256]),
            ("digests = [\"MD5\"]", vec![md5]),
            ("digests = [\"sha-256\", \"md5\"]", vec![sha256, md5]),
        ];
        for (line, digests) in cases {
            assert_eq!(read(line).expect("it is right").sip.digests, digests, "{line}");
        }
        for names in ["[]", "[\"SHA\"]", "[\"MD5\", \"MD5\"]"] {
            let mistakes = read(&format!("digests = {names}")).expect_err("it is wrong");
            assert!(
                mistakes.iter().any(|mistake| mistake.message.contains("digests must be")),
                "{mistakes:#?}"
            );
        }
    }

    #[test]
    fn what_is_posted_goes_to_hosts_of_the_list_and_what_is_no_host_is_a_mistake() {
        let read = |hosts: &str| {
            let services = "[[queue]]\nname = \"q\"\n[[service]]\nname = \"cb\"\nqueue = \"q\"\npush_url = \"https://push.example/x\"\n";
            let text = format!("[sip]\n[engine]\n[webhooks]\nallowed_hosts = {hosts}\n{services}");
            Config::parse(&text, Path::new(".")).err().unwrap_or_default()
        };
        for hosts in ["[]", "[\"push.example\"]", "[\"crm.example\", \"*.example:443\"]"] {
            assert!(read(hosts).is_empty(), "{hosts}: {:#?}", read(hosts));
        }
        for (hosts, word) in
            [("[\"crm.example\"]", "push_url"), ("[\"http://push.example\"]", "allowed_hosts")]
        {
            assert!(read(hosts).iter().any(|mistake| mistake.message.contains(word)), "{hosts}");
        }
    }

    #[test]
    fn http_without_a_token_is_refused_off_loopback() {
        let text = "[sip]\nlisten = \"127.0.0.1:5060\"\n[http]\nlisten = \"0.0.0.0:8080\"\n";
        let mistakes = Config::parse(text, Path::new(".")).expect_err("a token is needed");
        assert!(mistakes.iter().any(|mistake| mistake.message.contains("token")), "{mistakes:#?}");
    }
}
