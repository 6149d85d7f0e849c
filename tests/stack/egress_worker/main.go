// Command egress_worker is a STAND-IN for livekit/egress in Reelkeeper's tests.
//
// It sits where egress sits, on LiveKit's own bus (psrpc over Redis), and
// answers the server's StartEgress, StopEgress and ListActiveEgress. So the
// server, its API, its egress store and every webhook in such a test are the
// real ones, and so is the recorder in the room: a hidden participant of kind
// EGRESS whose identity is the egress id.
//
// What it proves: that Reelkeeper works with what the real server says while
// egresses start, stop, end, fail, are refused or lose their worker.
// What it does not prove: anything about egress itself, such as layouts,
// encoders, uploads, limits, timing or the exact texts of its errors.
//
// Two modes. "light" has no browser, runs many takes at once and puts a small
// test picture of the right length where the recording belongs. "full" runs
// one take at a time and records what Chromium shows and plays.
//
// SIGTERM drains: no new takes, exit when the running ones have ended. SIGINT
// ends them. SIGKILL is a crash: the server goes on listing them as ACTIVE and
// drops the recorders from their rooms some 20 s later.
//
// Read on in worker.go (the bus), take.go (one egress), light.go and full.go.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	lkredis "github.com/livekit/protocol/redis"
	"github.com/livekit/psrpc"
)

type options struct {
	mode, redis, url, key, secret, root string
	python, sample, page                string

	activeAfter, uploadDelay, limit time.Duration
	fail                            string
	capacity                        int
	endingOnClose                   bool
}

func main() {
	log.SetFlags(log.Ltime | log.Lmicroseconds)
	opts, err := parseOptions(os.Args[1:])
	if err != nil {
		log.Fatal(err)
	}
	if err := run(opts); err != nil {
		log.Fatal(err)
	}
}

func parseOptions(args []string) (*options, error) {
	o := &options{}
	fs := flag.NewFlagSet("egress_worker", flag.ExitOnError)
	fs.StringVar(&o.mode, "mode", env("EGRESS_MODE", "light"), "light or full")
	fs.StringVar(&o.redis, "redis", env("REDIS", ""), "address of the server's Redis")
	fs.StringVar(&o.url, "url", env("LIVEKIT_URL", ""), "ws:// address of the server")
	fs.StringVar(&o.key, "key", env("LIVEKIT_API_KEY", ""), "API key")
	fs.StringVar(&o.secret, "secret", env("LIVEKIT_API_SECRET", ""), "API secret")
	fs.StringVar(&o.root, "root", "", "folder that file paths are relative to")
	fs.StringVar(&o.python, "python", installed("venv/bin/python"), "Python with the livekit package (light)")
	fs.StringVar(&o.sample, "sample", installed("media/sample.mp4"), "film that recordings are cut from (light)")
	fs.StringVar(&o.page, "page", installed("page"), "folder with the page to record (full)")
	fs.DurationVar(&o.activeAfter, "active-after", 0, "wait so long in the room before ACTIVE (light)")
	fs.DurationVar(&o.uploadDelay, "upload-delay", 0, "wait so long between leaving the room and the file")
	fs.DurationVar(&o.limit, "limit", 0, "end a take that is ACTIVE for so long with LIMIT_REACHED; 0 is no limit")
	fs.StringVar(&o.fail, "fail", "", "fail every take with this text before it becomes ACTIVE")
	fs.IntVar(&o.capacity, "capacity", 100, "refuse takes beyond so many with resource_exhausted (full: always 1)")
	fs.BoolVar(&o.endingOnClose, "ending-on-close", false, "send ENDING also when the room ends by itself")
	_ = fs.Parse(args)

	var faults []error
	for name, value := range map[string]string{"redis": o.redis, "url": o.url, "key": o.key, "secret": o.secret, "root": o.root} {
		if value == "" {
			faults = append(faults, fmt.Errorf("--%s is missing", name))
		}
	}
	switch o.mode {
	case "light":
	case "full":
		o.capacity = 1
	default:
		faults = append(faults, fmt.Errorf("--mode %s is neither light nor full", o.mode))
	}
	return o, errors.Join(faults...)
}

func run(o *options) error {
	studio, err := newStudio(o)
	if err != nil {
		return err
	}
	redis, err := lkredis.GetRedisClient(&lkredis.RedisConfig{Address: o.redis})
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	w, err := newWorker(o, psrpc.NewRedisMessageBus(redis), studio)
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	log.Printf("registered, mode %s", o.mode)
	fmt.Fprintln(os.Stderr, "ready")

	for {
		select {
		case s := <-signals:
			log.Printf("%s: no more takes", s)
			w.drain(s == syscall.SIGINT)
		case <-w.drained:
			studio.close()
			return nil
		}
	}
}

// studio is what differs between the modes.
type studio interface {
	// record brings the take from STARTING to its end.
	record(*take)
	close()
}

func newStudio(o *options) (studio, error) {
	if o.mode == "full" {
		return newFull(o)
	}
	return newLight(o)
}

func env(name, fallback string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return fallback
}

// installed names a file beside this binary's folder, as tests/stack/install
// lays them out.
func installed(path string) string {
	exe, err := os.Executable()
	if err != nil {
		return path
	}
	return filepath.Join(filepath.Dir(exe), "..", path)
}
