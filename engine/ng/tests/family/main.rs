//! The family alone, with an engine made of answers.

mod any;
mod calls;
mod descriptions;
mod heeding;
mod muting;
mod parties;
mod playing;
mod publishing;
mod recording;
mod transcoding;
mod world;
