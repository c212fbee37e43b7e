//! Random inputs for all bodies, on all cores, with no more than a stable compiler.
//!
//! Inputs are random bytes, or mutations of earlier ones that made a case of a new kind. See the README.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io;
use std::panic::{catch_unwind, set_hook};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ndarray_loss_fuzz::{Body, TARGETS, message};

const USAGE: &str = "\
usage: ndarray-loss-fuzz [--seconds N] [--seed N] [--target NAME] [--threads N]
       ndarray-loss-fuzz --target NAME --replay FILE
";

struct Options {
    seconds: u64,
    seed: u64,
    target: Option<String>,
    replay: Option<String>,
    threads: usize,
}

fn options() -> Result<Options, String> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut options = Options {
        seconds: 10,
        seed: 0,
        target: None,
        replay: None,
        threads: cores,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or(format!("{name} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{name} {value}"));
        match name.as_str() {
            "--seconds" => options.seconds = number()?,
            "--seed" => options.seed = number()?,
            "--threads" => options.threads = number()?.max(1) as usize,
            "--replay" => options.replay = Some(value),
            "--target" => {
                if !TARGETS.iter().any(|&(known, _)| known == value) {
                    return Err(format!("no target {value}: {:?}", TARGETS.map(|t| t.0)));
                }
                options.target = Some(value);
            }
            _ => return Err(name),
        }
    }
    Ok(options)
}

/// Pseudo-random numbers (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.next() as u8).collect()
    }

    /// An input: new, or made of earlier ones.
    fn input(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        if corpus.is_empty() || self.below(3) == 0 {
            let n = self.below(160);
            return self.bytes(n);
        }
        let mut input = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(4) {
            let at = self.below(input.len() + 1);
            match self.below(5) {
                0 => input.truncate(at),
                1 => input.insert(at, self.next() as u8),
                2 if at < input.len() => drop(input.remove(at)),
                3 => {
                    let other = &corpus[self.below(corpus.len())];
                    input.truncate(at);
                    input.extend(other.iter().skip(at));
                }
                _ if at < input.len() => input[at] = self.next() as u8,
                _ => {}
            }
        }
        input
    }
}

/// What a body says of an input that it fails on.
fn failure(body: Body, input: &[u8]) -> Option<String> {
    let panic = catch_unwind(|| body(input)).err()?;
    Some(message(&*panic).to_owned())
}

/// A smaller input that still fails.
fn minimized(body: Body, mut input: Vec<u8>) -> Vec<u8> {
    let fails = |input: &[u8]| failure(body, input).is_some();
    let start = Instant::now();
    let mut size = input.len();
    while size > 0 && start.elapsed() < Duration::from_secs(20) {
        let mut at = 0;
        while at < input.len() {
            let end = (at + size).min(input.len());
            let without = [&input[..at], &input[end..]].concat();
            let mut zeroed = input.clone();
            zeroed[at..end].fill(0);
            if fails(&without) {
                input = without;
                continue;
            }
            if zeroed != input && fails(&zeroed) {
                input = zeroed;
            }
            at = end;
        }
        size /= 2;
    }
    input
}

fn hex(input: &[u8]) -> String {
    input.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Prints what failed and keeps the input.
fn report(name: &str, body: Body, input: Vec<u8>) -> io::Result<()> {
    let input = minimized(body, input);
    let said = failure(body, &input).unwrap_or_else(|| "failed once, not again".to_owned());
    let hex = hex(&input);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/artifacts");
    std::fs::create_dir_all(folder)?;
    let kept = &hex[..hex.len().min(32)];
    let path = format!("{folder}/{name}-{}-{kept}", input.len());
    std::fs::write(&path, &input)?;
    println!("{name} failed: {said}\ninput: {hex}\nreplay: --target {name} --replay {path}");
    Ok(())
}

/// Runs one body until the time is over; the number of executions, and an input that failed.
fn work(
    body: Body,
    seed: u64,
    end: Instant,
    stop: &AtomicBool,
    count: &AtomicU64,
) -> Option<Vec<u8>> {
    let mut random = Random(seed);
    let (mut corpus, mut seen) = (Vec::new(), HashSet::new());
    while Instant::now() < end && !stop.load(Ordering::Relaxed) {
        let input = random.input(&corpus);
        match catch_unwind(|| body(&input)) {
            Ok(kind) => {
                if seen.insert(kind) && corpus.len() < 20_000 {
                    corpus.push(input);
                }
            }
            Err(_) => return Some(input),
        }
        count.fetch_add(1, Ordering::Relaxed);
    }
    None
}

/// Runs one body on all threads.
fn fuzz(name: &str, body: Body, options: &Options, time: Duration) -> io::Result<bool> {
    let (start, stop, count) = (Instant::now(), AtomicBool::new(false), AtomicU64::new(0));
    let (stop, count) = (&stop, &count);
    let failed: Vec<Vec<u8>> = thread::scope(|scope| {
        let seeds = (0..options.threads as u64).map(|i| options.seed.wrapping_mul(1009) + i);
        let threads: Vec<_> = seeds
            .map(|seed| {
                scope.spawn(move || {
                    let failed = work(body, seed, start + time, stop, count);
                    if failed.is_some() {
                        stop.store(true, Ordering::Relaxed);
                    }
                    failed
                })
            })
            .collect();
        let ended = threads.into_iter().map(|thread| thread.join());
        ended.filter_map(Result::ok).flatten().collect()
    });
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{name}: {} executions in {seconds:.1} s",
        count.load(Ordering::Relaxed)
    );
    let passed = failed.is_empty();
    if let Some(input) = failed.into_iter().next() {
        report(name, body, input)?;
    }
    Ok(passed)
}

fn run(options: &Options) -> io::Result<bool> {
    let chosen = |name: &str| {
        options
            .target
            .as_deref()
            .is_none_or(|target| target == name)
    };
    let targets: Vec<_> = TARGETS
        .into_iter()
        .filter(|&(name, _)| chosen(name))
        .collect();
    if let Some(path) = &options.replay {
        let input = std::fs::read(path)?;
        let mut passed = true;
        for (name, body) in targets {
            let said = failure(body, &input);
            println!("{name}: {}", said.as_deref().unwrap_or("passed"));
            passed &= said.is_none();
        }
        return Ok(passed);
    }
    let time = Duration::from_secs(options.seconds) / targets.len() as u32;
    let mut passed = true;
    for (name, body) in targets {
        passed &= fuzz(name, body, options, time)?;
    }
    Ok(passed)
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(error) => {
            eprint!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    // Panics are reported once, with their input.
    set_hook(Box::new(|_| ()));
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
