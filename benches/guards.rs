//! Guards the hot paths against growing slower, by counting instructions.
//!
//! ```text
//! cargo bench --bench guards            compares with benches/guards.txt; exit code 1 if slower
//! BLESS=1 cargo bench --bench guards    writes benches/guards.txt
//! ```
//!
//! Each scene runs in a process of its own under `valgrind --tool=callgrind`, which counts what happens
//! within [`measured`]. Times differ from run to run on a busy machine; counts differ by less than 1 %.
//! They say nothing of cache misses and locks that are fought over: `micro` and `bayeuxd bench` do.

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::panic,
    reason = "a program that prints a table, and ends if a scene cannot be set"
)]

use std::{
    env, fs,
    path::Path,
    process::{Command, ExitCode, Stdio},
};

mod baseline;
mod input;
mod node;
mod pipeline;
mod scenes;

use baseline::{Counts, TOLERANCE_PERCENT, Verdict};
use scenes::{Entry, SCENES, Scene};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [flag, name] = arguments.as_slice()
        && flag == RUN
    {
        return run(name);
    }
    match guard() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Counts all scenes, and compares or writes the baseline. False if the guard does not let it pass.
fn guard() -> Result<bool, String> {
    let mut counts = Counts::new();
    for entry in SCENES.iter().filter(|entry| runs_of(entry.name) > 0) {
        counts.insert(entry.name.to_owned(), count(entry)?);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/guards.txt");
    if env::var_os("BLESS").is_some() {
        let text = baseline::write(&counts, &comments()?);
        print!("{text}");
        return fs::write(path, text).map(|()| true).map_err(|error| error.to_string());
    }
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let agreed = baseline::parse(&text).map_err(|line| format!("guards.txt: {line}"))?;
    let verdicts = baseline::compare(&agreed, &counts);
    for verdict in &verdicts {
        println!("{verdict}");
    }
    let passed = verdicts.iter().all(Verdict::passes);
    if !passed {
        println!(
            "\nMore than {TOLERANCE_PERCENT} % above benches/guards.txt. To see where: callgrind_annotate\n\
             {OUTPUT}/SCENE.out. If the new cost is worth it: BLESS=1 cargo bench --bench guards\n\
             here:     {}\nbaseline: {}",
            comments()?.last().map(String::as_str).unwrap_or_default(),
            text.lines().nth(1).unwrap_or_default().trim_start_matches("# "),
        );
    }
    Ok(passed)
}

/// Instructions of one run of a scene.
fn count(entry: &Entry) -> Result<u64, String> {
    fs::create_dir_all(OUTPUT).map_err(|error| error.to_string())?;
    let output = format!("{OUTPUT}/{}.out", entry.name);
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let ran = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*measured*"])
        .arg(format!("--callgrind-out-file={output}"))
        .arg(program)
        .args([RUN, entry.name])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("valgrind: {error} (Debian: apt-get install valgrind)"))?;
    if !ran.status.success() {
        return Err(format!("{}: {}", entry.name, String::from_utf8_lossy(&ran.stderr)));
    }
    let profile = fs::read_to_string(&output).map_err(|error| error.to_string())?;
    let total =
        profile.lines().find_map(|line| line.strip_prefix("summary: ")?.parse::<u64>().ok());
    match total.filter(|total| *total > 0) {
        Some(total) => Ok(total / u64::from(runs_of(entry.name))),
        None => Err(format!("{}: callgrind has counted nothing in {output}", entry.name)),
    }
}

/// How many runs give a steady count within a second; none of what takes longer.
fn runs_of(scene: &str) -> u32 {
    match scene {
        "publish_100000" => 0,
        "publish_1000" | "take_1000" => 20,
        "drop_oldest_100" | "latest_100" | "socket_publish_16" => 200,
        _ => 1_000,
    }
}

/// What stands above the counts; the last line says what they depend on.
fn comments() -> Result<Vec<String>, String> {
    let version = |tool: &str| {
        let output = Command::new(tool).arg("--version").output();
        let output = output.map_err(|error| format!("{tool}: {error}"))?;
        Ok::<_, String>(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let usage =
        "Instructions of one run of each scene. Written by BLESS=1 cargo bench --bench guards";
    Ok(vec![usage.to_owned(), format!("{}, {}", version("rustc")?, version("valgrind")?)])
}

/// Runs a scene, under valgrind.
fn run(name: &str) -> ExitCode {
    let Some(entry) = SCENES.iter().find(|entry| entry.name == name) else {
        println!("no scene {name}");
        return ExitCode::FAILURE;
    };
    let mut scene = (entry.make)();
    for _ in 0..WARMING_RUNS {
        scene.prepare();
        scene.run();
    }
    for _ in 0..runs_of(name) {
        scene.prepare();
        measured(&mut *scene);
    }
    ExitCode::SUCCESS
}

/// What valgrind counts: its name is in the command line above.
#[inline(never)]
fn measured(scene: &mut dyn Scene) {
    scene.run();
}

/// Where the profiles are written.
const OUTPUT: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/guards");
const RUN: &str = "--run";
/// The first runs make what later ones find.
const WARMING_RUNS: u32 = 3;
