//! The family alone, with an engine made of answers.

mod any;
mod calls;
mod descriptions;
mod ignoring;
mod muting;
mod parties;
mod playing;
mod publishing;
mod recording;
mod transcoding;
mod world;
