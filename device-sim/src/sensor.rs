//! What a simulated sensor measures: a plausible signal, the same for the same seed.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::Deserialize;
use serde_json::json;

/// A kind of sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SensorKind {
    /// A room: `celsius` and `humidity` wander around 21 and 45.
    Temperature,
    /// A bearing: `rms` in mm/s with occasional bursts, and `peak`.
    Vibration,
    /// A meter: `watts` drawn now, `kilowattHours` counted up.
    Energy,
    /// A door: `open`, and `openings` counted up.
    Door,
}

impl SensorKind {
    /// The name in scenarios, bodies and twins.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Temperature => "temperature",
            Self::Vibration => "vibration",
            Self::Energy => "energy",
            Self::Door => "door",
        }
    }
}

/// A sensor and where its signal stands.
#[derive(Debug)]
pub(crate) struct Sensor {
    kind: SensorKind,
    random: StdRng,
    signal: Signal,
}

#[derive(Debug)]
enum Signal {
    Temperature { celsius: f64, humidity: f64 },
    Vibration { rms: f64 },
    Energy { watts: f64, kilowatt_hours: f64 },
    Door { open: bool, openings: u64 },
}

impl Sensor {
    pub(crate) fn new(kind: SensorKind, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let signal = match kind {
            SensorKind::Temperature => {
                Signal::Temperature { celsius: random.random_range(18.0..24.0), humidity: random.random_range(35.0..55.0) }
            }
            SensorKind::Vibration => Signal::Vibration { rms: random.random_range(0.8..1.6) },
            SensorKind::Energy => {
                Signal::Energy { watts: random.random_range(200.0..3000.0), kilowatt_hours: random.random_range(0.0..5000.0) }
            }
            SensorKind::Door => Signal::Door { open: false, openings: 0 },
        };
        Self { kind, random, signal }
    }

    pub(crate) fn kind(&self) -> SensorKind {
        self.kind
    }

    /// The next sample, `seconds` after the one before, as JSON with its running number.
    pub(crate) fn sample(&mut self, number: u64, seconds: f64) -> String {
        let random = &mut self.random;
        let mut noise = |width: f64| random.random_range(-width..=width);
        let measured = match &mut self.signal {
            Signal::Temperature { celsius, humidity } => {
                *celsius += noise(0.15) + (21.0 - *celsius) * 0.01;
                *humidity = (*humidity + noise(0.4) + (45.0 - *humidity) * 0.01).clamp(0.0, 100.0);
                json!({"celsius": rounded(*celsius, 2), "humidity": rounded(*humidity, 1)})
            }
            Signal::Vibration { rms } => {
                let burst = if noise(1.0) > 0.96 { 6.0 } else { 0.0 };
                *rms = (*rms + noise(0.05) + (1.2 - *rms) * 0.05 + burst).clamp(0.1, 20.0);
                json!({"rms": rounded(*rms, 3), "peak": rounded(*rms * (1.41 + noise(0.2)), 3)})
            }
            Signal::Energy { watts, kilowatt_hours } => {
                *watts = (*watts + noise(60.0)).clamp(0.0, 11_000.0);
                *kilowatt_hours += *watts * seconds / 3_600_000.0;
                json!({"watts": rounded(*watts, 0), "kilowattHours": rounded(*kilowatt_hours, 4)})
            }
            Signal::Door { open, openings } => {
                if noise(1.0) > 0.6 {
                    *open = !*open;
                    *openings += u64::from(*open);
                }
                json!({"open": open, "openings": openings})
            }
        };
        body(self.kind, number, measured)
    }
}

fn body(kind: SensorKind, number: u64, measured: serde_json::Value) -> String {
    let mut body = json!({"sensor": kind.name(), "number": number});
    if let (Some(body), serde_json::Value::Object(measured)) = (body.as_object_mut(), measured) {
        body.extend(measured);
    }
    body.to_string()
}

fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [SensorKind; 4] = [SensorKind::Temperature, SensorKind::Vibration, SensorKind::Energy, SensorKind::Door];

    fn samples(kind: SensorKind, seed: u64) -> Vec<String> {
        let mut sensor = Sensor::new(kind, seed);
        (1..=1000).map(|number| sensor.sample(number, 1.0)).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_signal() {
        for kind in KINDS {
            assert_eq!(samples(kind, 7), samples(kind, 7));
            assert_ne!(samples(kind, 7), samples(kind, 8), "{}", kind.name());
        }
    }

    #[test]
    fn signals_stay_plausible() {
        let values = |kind, field: &str| -> Vec<f64> {
            let value = |body: &String| serde_json::from_str::<serde_json::Value>(body).expect("JSON")[field].as_f64();
            samples(kind, 1).iter().map(|body| value(body).expect("a number")).collect()
        };
        assert!(values(SensorKind::Temperature, "celsius").iter().all(|celsius| (10.0..35.0).contains(celsius)));
        assert!(values(SensorKind::Vibration, "rms").iter().all(|rms| (0.1..=20.0).contains(rms)));
        assert!(values(SensorKind::Energy, "kilowattHours").is_sorted(), "a meter does not run backwards");
        assert!(values(SensorKind::Door, "openings").last().is_some_and(|openings| *openings > 10.0));
    }
}
