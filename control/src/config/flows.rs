//! `[[flow]]` and its `[[flow.step]]`s.

use std::collections::BTreeSet;

use offhook_control_core::Config as CoreConfig;
use offhook_control_core::inbound_flow::{
    Action, CallbackAction, FlowConfig, FlowMedia, Key, StepConfig, check,
};

use super::sections::set;
use super::table::Table;

pub(super) fn flows(tables: Vec<Table<'_, '_>>, core: &CoreConfig) -> Vec<FlowConfig> {
    let mut names = BTreeSet::new();
    let mut dnis: BTreeSet<String> = core.queues.iter().flat_map(|queue| queue.dnis.clone()).collect();
    tables.into_iter().map(|table| flow(table, core, &mut names, &mut dnis)).collect()
}

fn flow(
    mut table: Table<'_, '_>,
    core: &CoreConfig,
    names: &mut BTreeSet<String>,
    dnis: &mut BTreeSet<String>,
) -> FlowConfig {
    let mut flow = FlowConfig { name: table.needed_text("name"), ..FlowConfig::default() };
    if !names.insert(flow.name.clone()) && !flow.name.is_empty() {
        table.refuse("name", "is the name of another flow");
    }
    let media = [("phone", FlowMedia::Phone), ("chat", FlowMedia::Chat), ("email", FlowMedia::Email)];
    set(&mut flow.media, table.choice("media", &media));
    flow.dnis = table.texts("dnis").unwrap_or_default();
    for number in &flow.dnis {
        if !dnis.insert(number.clone()) {
            table.refuse("dnis", &format!("names {number}, which leads to a queue or a flow already"));
        }
    }
    let mut places = Vec::new();
    let mut broken = false;
    for mut place in table.tables("step") {
        let caption = place.needed_text("caption");
        let action = action(&mut place);
        let mut branch = place.table("branch");
        let branches = branch.pairs().into_iter().collect();
        broken |= action.is_none();
        flow.steps.extend(action.map(|action| StepConfig { caption, action, branches }));
        places.push((place, branch));
    }
    // A step that cannot be read has its own mistake; the others cannot be judged without it.
    let faults = if broken { Vec::new() } else { check(&flow, &core.queues, &core.services) };
    for fault in faults {
        match (fault.step.and_then(|step| places.get_mut(step)), fault.key) {
            (Some((place, _)), Key::Setting(key)) => place.refuse(key, &fault.why),
            (Some((_, branch)), Key::Branch(name)) => branch.refuse_key(&name, &fault.why),
            (None, Key::Setting(key)) => table.refuse(key, &fault.why),
            (None, Key::Branch(_)) => {}
        }
    }
    for (place, _) in places {
        place.finish();
    }
    table.finish();
    flow
}

fn action(step: &mut Table<'_, '_>) -> Option<Action> {
    let name = step.needed_text("action");
    let action = match name.as_str() {
        "" => return None,
        "announce" => Action::Announce { prompts: prompts(step, true) },
        "music" => Action::Music {
            file: step.text("file").unwrap_or_default(),
            seconds: step.number("seconds", 1..=86_400).unwrap_or(30),
        },
        "request_agent" => Action::RequestAgent {
            queue: step.needed_text("queue"),
            priority: step.number("priority", -1_000..=1_000),
        },
        "menu" => Action::Menu {
            prompts: prompts(step, false),
            digits: step.number("digits", 1..=32).unwrap_or(1),
            terminator: terminator(step),
            timeout_s: step.number("timeout_s", 1..=300).unwrap_or(5),
            variable: step.text("variable").unwrap_or_else(|| "Keys".into()),
        },
        "estimated_wait" => {
            Action::EstimatedWait { longer_than_s: step.number("longer_than_s", 0..=86_400).unwrap_or(60) }
        }
        "callback" => Action::Callback(callback(step)),
        "transfer" => Action::Transfer {
            number: step.text("number").unwrap_or_default(),
            agent: step.text("agent").unwrap_or_default(),
        },
        "wait" => Action::Wait { seconds: step.number("seconds", 1..=604_800).unwrap_or(60) },
        "hang_up" => Action::HangUp,
        "set" => Action::Set {
            variable: step.needed_text("variable"),
            value: step.text("value").unwrap_or_default(),
        },
        other => {
            step.refuse("action", &format!("must be one of {ACTIONS}, not \"{other}\""));
            return None;
        }
    };
    Some(action)
}

fn prompts(step: &mut Table<'_, '_>, needed: bool) -> Vec<String> {
    let prompts = step.texts("prompts").unwrap_or_default();
    if prompts.iter().any(String::is_empty) || (needed && prompts.is_empty()) {
        step.refuse("prompts", "must name WAV files, such as [\"thank_you.wav\"]");
    }
    prompts
}

fn terminator(step: &mut Table<'_, '_>) -> Option<char> {
    let choices = [("#", Some('#')), ("*", Some('*')), ("", None)];
    step.choice("terminator", &choices).unwrap_or_default()
}

fn callback(step: &mut Table<'_, '_>) -> CallbackAction {
    let mut callback = CallbackAction { service: step.needed_text("service"), ..CallbackAction::default() };
    set(&mut callback.phone_number, step.text("phone_number"));
    set(&mut callback.caller_id, step.text("caller_id"));
    set(&mut callback.call_delay_s, step.text_or_number("call_delay_s"));
    set(&mut callback.prompt, step.text("prompt"));
    callback
}

const ACTIONS: &str = "\"announce\", \"music\", \"request_agent\", \"menu\", \"estimated_wait\", \"callback\", \"transfer\", \
                       \"wait\", \"hang_up\", \"set\"";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Config;

    const HEAD: &str = "[[queue]]\nname = \"sales\"\n[[service]]\nname = \"cb\"\nqueue = \"sales\"\n";

    /// Lines and messages of what is wrong with a flow below [`HEAD`], which has five lines.
    fn mistakes(flow: &str) -> Vec<(usize, String)> {
        let found = Config::parse(&format!("{HEAD}{flow}"), Path::new(".")).err().unwrap_or_default();
        found.into_iter().map(|mistake| (mistake.line, mistake.message)).collect()
    }

    #[test]
    fn qc_16_every_mistake_of_a_flow_is_reported_at_once_each_with_its_line() {
        let found = mistakes(
            r#"[[flow]]
name = "f"
[[flow.step]]
caption = "ask"
action = "request_agent"
queue = "missing"
branch = { Default = "menu" }
[[flow.step]]
caption = "menu"
action = "menu"
branch = { 1 = "callback", x = "ask", Default = "nowhere" }
[[flow.step]]
caption = "callback"
action = "callback"
service = "cb"
caller_id = "{NOBODY}"
call_delay_s = 60
branch = { Default = "menu", OnError = "menu" }
[[flow.step]]
caption = "menu"
action = "hang_up"
branch = { Default = "menu" }
"#,
        );
        for (line, words) in [
            (11, "flow[1].step[1].queue names a queue that is not in this file: \"missing\""),
            (16, "flow[1].step[2].branch.x is no result of menu"),
            (16, "flow[1].step[2].branch.Default leads to \"nowhere\""),
            (21, "flow[1].step[3].caller_id holds {NOBODY}, which nothing sets"),
            (22, "flow[1].step[3].call_delay_s must be 0 to 59 seconds"),
            (15, "flow[1].step[2].action is menu, and the call has been ended by a callback before it"),
            (25, "flow[1].step[4].caption \"menu\" is that of another step"),
            (27, "flow[1].step[4].branch.Default is no result of hang_up"),
        ] {
            let known = found.iter().any(|(at, message)| *at == line && message.starts_with(words));
            assert!(known, "{line}: {words}\n{found:#?}");
        }
    }

    #[test]
    fn a_circle_in_which_no_time_passes_is_a_mistake() {
        let found = mistakes(
            "[[flow]]\nname = \"f\"\n[[flow.step]]\ncaption = \"a\"\naction = \"set\"\nvariable = \"x\"\n\
             branch = { Default = \"b\" }\n[[flow.step]]\ncaption = \"b\"\naction = \"set\"\nvariable = \"y\"\n\
             branch = { Default = \"a\" }\n",
        );
        assert_eq!(found.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [9, 14], "{found:#?}");
    }

    #[test]
    fn a_step_that_cannot_be_read_is_the_only_mistake_of_its_flow() {
        let found = mistakes("[[flow]]\nname = \"f\"\n[[flow.step]]\ncaption = \"a\"\naction = \"dance\"\n");
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!(found[0].0, 10);
        assert!(found[0].1.contains("request_agent"), "{}", found[0].1);
    }

    #[test]
    fn a_transfer_that_names_nobody_or_two_is_a_mistake() {
        let step = "[[flow]]\nname = \"f\"\n[[flow.step]]\ncaption = \"a\"\naction = \"transfer\"\n";
        assert_eq!(mistakes(&format!("{step}number = \"+31201\"\n")), []);
        for more in ["", "number = \"+31201\"\nagent = \"ann\"\n"] {
            let found = mistakes(&format!("{step}{more}"));
            assert_eq!(found.len(), 1, "{found:#?}");
            assert!(found[0].1.contains("number or agent has to be named, and not both"), "{}", found[0].1);
        }
    }

    #[test]
    fn a_flow_without_steps_and_a_number_that_leads_elsewhere_are_mistakes() {
        let text = "[[queue]]\nname = \"q\"\ndnis = [\"1\"]\n[[flow]]\nname = \"f\"\ndnis = [\"1\"]\n";
        let found = Config::parse(text, Path::new(".")).expect_err("two mistakes");
        assert_eq!(found.iter().map(|mistake| mistake.line).collect::<Vec<_>>(), [4, 6], "{found:#?}");
    }
}
