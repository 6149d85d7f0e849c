package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	frame        = "1280x720"
	startTimeout = 30 * time.Second
	maxQueue     = "queue max-size-time=3000000000 max-size-bytes=0 max-size-buffers=0"
)

// full records what a browser shows and plays: Chromium on a screen of its own
// (Xvfb), its sound into a sink of its own (PulseAudio), both encoded by
// GStreamer. One take at a time; the machine has no more to give.
type full struct {
	opts    *options
	scratch string
	pulse   *exec.Cmd
	pages   string // base URL of the page
	leave   chan struct{}
}

func newFull(o *options) (*full, error) {
	for _, name := range []string{"chromium", "Xvfb", "pulseaudio", "pactl", "gst-launch-1.0"} {
		if _, err := exec.LookPath(name); err != nil {
			return nil, fmt.Errorf("run tests/stack/install full first: %w", err)
		}
	}
	scratch, err := os.MkdirTemp("", "egress-worker-")
	if err != nil {
		return nil, err
	}
	f := &full{opts: o, scratch: scratch, leave: make(chan struct{}, 1)}
	if err := errors.Join(f.servePage(), f.startPulse()); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *full) close() {
	if f.pulse != nil && f.pulse.Process != nil {
		kill(f.pulse)
	}
	_ = os.RemoveAll(f.scratch)
}

// servePage serves the page and, under /leave, the word to leave the room:
// a browser that is merely killed would stay listed for 20 s.
func (f *full) servePage() error {
	if _, err := os.Stat(filepath.Join(f.opts.page, "page.bundle.js")); err != nil {
		return fmt.Errorf("run tests/stack/install full first: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir(f.opts.page)))
	mux.HandleFunc("/leave", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-f.leave:
			w.WriteHeader(http.StatusNoContent)
		case <-r.Context().Done():
		}
	})
	f.pages = "http://" + listener.Addr().String() + "/"
	go func() { log.Fatal(http.Serve(listener, mux)) }()
	return nil
}

// startPulse gives the worker a sound server of its own, apart from any other
// on the machine; started this way it also runs as root.
func (f *full) startPulse() error {
	f.pulse = exec.Command("pulseaudio", "--daemonize=no", "--exit-idle-time=-1", "--disallow-exit", "-n",
		"--load=module-native-protocol-unix")
	f.pulse.Env = f.env()
	if err := startBound(f.pulse); err != nil {
		return fmt.Errorf("pulseaudio: %w", err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		_, err := f.pactl("info")
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("pulseaudio does not answer: %w", err)
		}
	}
}

func (f *full) pactl(args ...string) (string, error) {
	c := exec.Command("pactl", args...)
	c.Env = f.env()
	out, err := runBound(c)
	if err != nil {
		err = fmt.Errorf("pactl %s: %w: %s", args[0], err, out)
	}
	return strings.TrimSpace(out), err
}

func (f *full) env(more ...string) []string {
	return append(append(os.Environ(), "HOME="+f.scratch, "XDG_RUNTIME_DIR="+f.scratch, "XDG_CONFIG_HOME="+f.scratch), more...)
}

func (f *full) record(t *take) {
	if text := f.opts.fail; text != "" {
		t.settle(errors.New(text))
		return
	}
	film, err := f.shoot(t)
	if err == nil && film != "" {
		defer os.Remove(film)
		err = t.deliver(film)
	}
	t.settle(err)
}

// shoot returns the finished film, or none if it was stopped before it began.
func (f *full) shoot(t *take) (string, error) {
	sink, err := f.pactl("load-module", "module-null-sink", "sink_name="+t.id)
	if err != nil {
		return "", err
	}
	defer f.pactl("unload-module", sink)
	display, screen, err := f.startScreen()
	if err != nil {
		return "", err
	}
	defer kill(screen)
	browser, console, err := f.startBrowser(t, display)
	if err != nil {
		return "", err
	}
	defer kill(browser)

	select {
	case <-console.started:
	case <-t.stopping:
		f.leaveRoom(console)
		return "", nil
	case <-console.ended:
		return "", errors.New("the browser did not get into the room")
	case <-time.After(startTimeout):
		return "", errors.New("Start signal not received")
	}
	film, err := t.film()
	if err != nil {
		return "", err
	}
	camera, err := f.startCamera(t, display, film)
	if err != nil {
		return "", err
	}
	if t.active() {
		t.lasts(console.ended)
	}
	err = quit(camera, syscall.SIGINT, 20*time.Second)
	f.leaveRoom(console)
	if err != nil {
		return "", fmt.Errorf("gst-launch-1.0: %w", err)
	}
	return film, nil
}

// startScreen lets Xvfb look for a free display and tell its number.
func (f *full) startScreen() (string, *exec.Cmd, error) {
	number, write, err := os.Pipe()
	if err != nil {
		return "", nil, err
	}
	defer number.Close()
	screen := exec.Command("Xvfb", "-displayfd", "3", "-screen", "0", frame+"x24", "-ac", "-nolisten", "tcp")
	screen.ExtraFiles = []*os.File{write}
	err = startBound(screen)
	write.Close()
	if err != nil {
		return "", nil, fmt.Errorf("Xvfb: %w", err)
	}
	_ = number.SetReadDeadline(time.Now().Add(10 * time.Second))
	line, err := bufio.NewReader(number).ReadString('\n')
	if err != nil {
		kill(screen)
		return "", nil, fmt.Errorf("Xvfb has no display: %w", err)
	}
	return ":" + strings.TrimSpace(line), screen, nil
}

// console is what the page prints; both channels are closed when it is said.
type console struct{ started, ended chan struct{} }

func (f *full) startBrowser(t *take, display string) (*exec.Cmd, *console, error) {
	base := t.baseURL
	if base == "" {
		base = f.pages
	}
	query := url.Values{"url": {f.opts.url}, "token": {t.token}, "layout": {t.layout}}
	width, height, _ := strings.Cut(frame, "x")
	browser := exec.Command("chromium", "--no-sandbox", "--disable-gpu", "--no-first-run", "--no-default-browser-check",
		"--disable-dev-shm-usage", "--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows",
		"--disable-renderer-backgrounding", "--disable-features=AudioServiceOutOfProcess,site-per-process,Translate",
		"--kiosk", "--autoplay-policy=no-user-gesture-required", "--window-position=0,0",
		"--window-size="+width+","+height, "--user-data-dir="+filepath.Join(f.scratch, t.id),
		"--enable-logging=stderr", base+"?"+query.Encode())
	browser.Env = f.env("DISPLAY="+display, "PULSE_SINK="+t.id)
	stderr, err := browser.StderrPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := startBound(browser); err != nil {
		return nil, nil, fmt.Errorf("chromium: %w", err)
	}
	said := &console{make(chan struct{}), make(chan struct{})}
	go said.listen(stderr)
	return browser, said, nil
}

func (c *console) listen(stderr io.Reader) {
	started, ended := sync.OnceFunc(func() { close(c.started) }), sync.OnceFunc(func() { close(c.ended) })
	defer ended()
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		switch line := lines.Text(); {
		case !strings.Contains(line, ":CONSOLE"):
		case strings.Contains(line, `"START_RECORDING"`):
			started()
		case strings.Contains(line, `"END_RECORDING"`):
			ended()
		default:
			log.Printf("page %s", line)
		}
	}
}

func (f *full) leaveRoom(c *console) {
	select {
	case f.leave <- struct{}{}:
	default:
	}
	select {
	case <-c.ended:
	case <-time.After(5 * time.Second):
		log.Print("the page does not leave the room")
	}
	select { // nobody took it: the page was gone before
	case <-f.leave:
	default:
	}
}

func (f *full) startCamera(t *take, display, film string) (*exec.Cmd, error) {
	pipeline := "-e ximagesrc display-name=" + display + " use-damage=false show-pointer=false" +
		" ! videoconvert ! videorate skip-to-first=true ! video/x-raw,framerate=30/1,format=I420 ! " + maxQueue +
		" ! x264enc speed-preset=veryfast bitrate=3000 key-int-max=120 ! video/x-h264,profile=main ! h264parse" +
		" ! queue ! mp4mux name=mux faststart=true ! filesink location=" + film +
		" pulsesrc device=" + t.id + ".monitor ! audioconvert ! audioresample" +
		" ! audio/x-raw,rate=48000,channels=2 ! " + maxQueue + " ! voaacenc bitrate=128000 ! aacparse ! mux."
	camera := exec.Command("gst-launch-1.0", strings.Fields(pipeline)...)
	camera.Env = f.env()
	camera.Stderr = os.Stderr
	stdout, err := camera.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := startBound(camera); err != nil {
		return nil, fmt.Errorf("gst-launch-1.0: %w", err)
	}
	rolling := make(chan struct{})
	go func() {
		said := sync.OnceFunc(func() { close(rolling) })
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "New clock") { // sources deliver from here on
				said()
			}
		}
	}()
	select {
	case <-rolling:
	case <-time.After(startTimeout):
		kill(camera)
		return nil, errors.New("gst-launch-1.0 does not start")
	}
	return camera, nil
}
