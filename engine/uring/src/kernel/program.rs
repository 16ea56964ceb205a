//! The program, compiled from forward.c (`make bpf`), with its maps' descriptors written in.

use crate::bpf::{Instruction, LOAD_IMMEDIATE_64, MAP_DESCRIPTOR};
use object::elf::FileHeader64;
use object::read::elf::ElfFile;
use object::{LittleEndian, Object, ObjectSection, ObjectSymbol, RelocationTarget};
use std::os::fd::{AsRawFd, OwnedFd};

/// The instructions, for the maps that they call `ports` and `rules`.
pub(super) fn forward(ports: &OwnedFd, rules: &OwnedFd) -> Vec<Instruction> {
    read(ports, rules).expect("forward.o is what make bpf makes")
}

fn read(ports: &OwnedFd, rules: &OwnedFd) -> Option<Vec<Instruction>> {
    let object = ElfFile::<FileHeader64<LittleEndian>>::parse(OBJECT).ok()?;
    let section = object.section_by_name("tcx")?;
    let (instructions, rest) = section.data().ok()?.as_chunks();
    let mut instructions: Vec<_> = instructions.iter().map(instruction).collect::<Vec<_>>();
    for (at, relocation) in section.relocations() {
        let RelocationTarget::Symbol(symbol) = relocation.target() else { return None };
        let map = match object.symbol_by_index(symbol).ok()?.name().ok()? {
            "ports" => ports,
            "rules" => rules,
            _ => return None,
        };
        let load = instructions.get_mut(usize::try_from(at).ok()? / size_of::<Instruction>())?;
        if load.opcode != LOAD_IMMEDIATE_64 {
            return None;
        }
        load.registers |= MAP_DESCRIPTOR << 4;
        load.immediate = map.as_raw_fd();
    }
    rest.is_empty().then_some(instructions)
}

fn instruction(bytes: &[u8; size_of::<Instruction>()]) -> Instruction {
    let [opcode, registers, o0, o1, i0, i1, i2, i3] = *bytes;
    Instruction {
        opcode,
        registers,
        offset: i16::from_le_bytes([o0, o1]),
        immediate: i32::from_le_bytes([i0, i1, i2, i3]),
    }
}

const OBJECT: &[u8] = include_bytes!("forward.o");

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::ErrorKind;
    use std::process::Command;

    fn code(object: &[u8]) -> Vec<u8> {
        let object = ElfFile::<FileHeader64<LittleEndian>>::parse(object).unwrap();
        object.section_by_name("tcx").unwrap().data().unwrap().to_vec()
    }

    #[test]
    fn the_object_is_what_its_source_is_compiled_to() {
        let version = match Command::new("clang").arg("--version").output() {
            Ok(output) => String::from_utf8(output.stdout).unwrap(),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return eprintln!("not tested: there is no clang");
            }
            Err(error) => panic!("{error}"),
        };
        if !version.contains("version 14.") {
            return eprintln!("not tested: another clang writes other instructions");
        }
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/src/kernel");
        let made = std::env::temp_dir().join(format!("offhook-forward-{}.o", std::process::id()));
        let compiled = Command::new("make")
            .args(["-s", "-C", directory, "-f", "forward.mk"])
            .arg(format!("OBJECT={}", made.display()))
            .status()
            .unwrap();
        assert!(compiled.success());
        let fresh = fs::read(&made).unwrap();
        fs::remove_file(&made).unwrap();
        assert!(code(&fresh) == code(OBJECT), "make bpf has not been run since forward.c was changed");
    }
}
