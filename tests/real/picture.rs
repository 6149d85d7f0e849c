//! A frame of a film, and whether it shows what `tests/stack/publisher.py` sends: red runs from left to
//! right and moves, blue is its opposite, green runs from top to bottom, and a white bar passes.

use std::path::Path;
use std::process::Command;

use crate::stack::Tools;

const WIDTH: usize = 64;
const HEIGHT: usize = 36;

/// A frame, made small: rows of red, green and blue from 0 to 255.
pub struct Picture(Vec<[f64; 3]>);

impl Picture {
    /// The frame at so many seconds.
    pub fn at(tools: &Tools, film: &Path, second: f64) -> Self {
        let size = format!("scale={WIDTH}:{HEIGHT}:flags=area");
        let output = Command::new(tools.path("FFMPEG"))
            .args(["-nostdin", "-v", "error", "-ss", &format!("{second:.3}"), "-i"])
            .arg(film)
            .args(["-frames:v", "1", "-vf", &size, "-pix_fmt", "rgb24", "-f", "rawvideo", "-"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let (pixels, rest) = output.stdout.as_chunks::<3>();
        assert_eq!((pixels.len(), rest.len()), (WIDTH * HEIGHT, 0), "no frame at {second} s");
        Self(pixels.iter().map(|pixel| pixel.map(f64::from)).collect())
    }

    fn channel(&self, channel: usize) -> impl Iterator<Item = f64> {
        self.0.iter().map(move |pixel| pixel[channel])
    }

    /// Neither flat nor black, and coloured as the publisher colours.
    pub fn shows_the_publishers_colours(&self) {
        for (name, channel) in [("red", 0), ("green", 1), ("blue", 2)] {
            let mean = mean(self.channel(channel));
            let spread = mean_of_squares(self.channel(channel).map(|value| value - mean)).sqrt();
            assert!((60.0..200.0).contains(&mean), "{name} is {mean} on average");
            assert!((30.0..120.0).contains(&spread), "{name} spreads by {spread}");
        }
        // The white bar and the browser's colour conversion take their part.
        let opposite = mean(self.0.iter().map(|[red, _, blue]| (red + blue - 255.0).abs()));
        assert!(opposite < 60.0, "red and blue are no opposites: off by {opposite}");
        let row = |at: usize| mean(self.0[at * WIDTH..(at + 1) * WIDTH].iter().map(|pixel| pixel[1]));
        let rows = [0, HEIGHT / 3, 2 * HEIGHT / 3, HEIGHT - 1].map(row);
        assert!(rows.is_sorted() && rows[3] - rows[0] > 150.0, "green from top to bottom: {rows:?}");
    }

    /// Its red has moved, its green has not.
    pub fn differs_from(&self, other: &Self) {
        let moved = |channel: usize| {
            mean(self.channel(channel).zip(other.channel(channel)).map(|(one, other)| (one - other).abs()))
        };
        let (red, green) = (moved(0), moved(1));
        assert!(red > 15.0 && red > green, "red moved by {red}, green by {green}");
    }
}

#[allow(clippy::cast_precision_loss, reason = "there are few pixels")]
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    sum / count as f64
}

fn mean_of_squares(values: impl Iterator<Item = f64>) -> f64 {
    mean(values.map(|value| value * value))
}
