//! How an agent's phone is used, and who decides that (PM-02, PM-11 to PM-13).
//!
//! Tenant, group and agent each can have a say; the most specific level that is allowed one wins. An agent's own choice is
//! made while working offline, has to be confirmed, counts from the next `available` on and ends with the session.

use serde::{Deserialize, Serialize};

use crate::config::{GroupModes, ModesConfig};

/// A connection mode, and whether offers are taken by themselves (PM-01, PM-12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mode {
    /// One leg for the working day; else one for each call.
    pub persistent: bool,
    /// Offers are taken without a click; without a persistent leg the phone is told to answer by itself.
    pub auto_accept: bool,
}

/// What one level says; what is absent is left to the level above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModeWish {
    /// One leg for the working day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persistent: Option<bool>,
    /// Take offers without a click.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_accept: Option<bool>,
}

/// What an agent may change without the administrator (PM-02).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeRights {
    /// The connection mode.
    pub persistent: bool,
    /// Automatic acceptance.
    pub auto_accept: bool,
}

/// An agent's part in it.
#[derive(Debug)]
pub(crate) struct AgentMode {
    /// In force.
    pub(crate) now: Mode,
    /// The agent's own choice of this session; in force from the next `available` on.
    pub(crate) chosen: ModeWish,
    /// Asked for and not confirmed, with the name that the confirmation has to give.
    pub(crate) asked: Option<(String, ModeWish)>,
}

impl AgentMode {
    pub(crate) fn new(now: Mode) -> Self {
        Self { now, chosen: ModeWish::default(), asked: None }
    }
}

impl ModeWish {
    /// Whether it says nothing.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// This one's word, or else that of the level above.
    #[must_use]
    pub fn or(self, above: Self) -> Self {
        Self {
            persistent: self.persistent.or(above.persistent),
            auto_accept: self.auto_accept.or(above.auto_accept),
        }
    }
}

impl ModesConfig {
    /// The group of this name.
    pub fn group(&self, name: Option<&str>) -> Option<&GroupModes> {
        self.groups.iter().find(|group| Some(group.name.as_str()) == name)
    }

    /// The mode that follows from all levels (PM-13).
    ///
    /// Without the administrator's permission there is no persistent mode, whatever any level says.
    pub fn resolve(&self, group: Option<&str>, agent: ModeWish) -> Mode {
        let group = self.group(group).filter(|_| self.groups_may_set).map(|group| group.wish);
        let agent = if self.agents_may_set { agent } else { ModeWish::default() };
        let wish = agent.or(group.unwrap_or_default());
        Mode {
            persistent: self.persistent_enabled && wish.persistent.unwrap_or(self.persistent),
            auto_accept: wish.auto_accept.unwrap_or(self.auto_accept),
        }
    }

    /// What an agent of this group may change (PM-02).
    pub fn rights(&self, group: Option<&str>) -> ModeRights {
        let group = self.group(group);
        let persistent = group.and_then(|group| group.agents_may_change_persistent);
        let auto_accept = group.and_then(|group| group.agents_may_change_auto_accept);
        ModeRights {
            persistent: self.agents_may_set && persistent.unwrap_or(self.agents_may_change_persistent),
            auto_accept: self.agents_may_set && auto_accept.unwrap_or(self.agents_may_change_auto_accept),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEVELS: [Option<bool>; 3] = [None, Some(false), Some(true)];

    #[test]
    fn pm_13_the_most_specific_allowed_level_wins_in_every_combination() {
        for (enabled, groups, agents) in (0..8).map(|bits: u8| (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0))
        {
            for (tenant, group, agent) in LEVELS.into_iter().flat_map(|group| {
                LEVELS.into_iter().flat_map(move |agent| [false, true].map(|tenant| (tenant, group, agent)))
            }) {
                let both = |level| ModeWish { persistent: level, auto_accept: level };
                let config = ModesConfig {
                    persistent_enabled: enabled,
                    persistent: tenant,
                    auto_accept: tenant,
                    groups_may_set: groups,
                    agents_may_set: agents,
                    groups: vec![GroupModes { name: "g".into(), wish: both(group), ..GroupModes::default() }],
                    ..ModesConfig::default()
                };
                let mut expected = tenant;
                if let (true, Some(group)) = (groups, group) {
                    expected = group;
                }
                if let (true, Some(agent)) = (agents, agent) {
                    expected = agent;
                }
                let mode = config.resolve(Some("g"), both(agent));
                let case = (enabled, groups, agents, tenant, group, agent);
                assert_eq!(mode, Mode { persistent: enabled && expected, auto_accept: expected }, "{case:?}");
            }
        }
    }

    #[test]
    fn pm_02_a_group_may_give_and_take_the_right_and_no_agent_level_means_no_right() {
        let group = |name: &str, right| GroupModes {
            name: name.into(),
            agents_may_change_persistent: right,
            ..GroupModes::default()
        };
        let mut config = ModesConfig {
            agents_may_change_auto_accept: true,
            groups: vec![group("gives", Some(true)), group("silent", None)],
            ..ModesConfig::default()
        };
        let rights = |persistent, auto_accept| ModeRights { persistent, auto_accept };
        assert_eq!(config.rights(Some("gives")), rights(true, true));
        assert_eq!(config.rights(Some("silent")), rights(false, true));
        assert_eq!(config.rights(None), rights(false, true));
        config.agents_may_set = false;
        assert_eq!(config.rights(Some("gives")), rights(false, false));
    }
}
