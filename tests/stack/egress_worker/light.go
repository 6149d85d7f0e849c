package main

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

//go:embed seats.py
var seatsScript string

// light records without looking: it sits in the room as a real recorder does,
// and then delivers a piece of the sample film as long as the recording was.
// All seats are held by one Python process, since LiveKit has no Go client
// that can be had here.
type light struct {
	opts  *options
	input io.Writer
	child *exec.Cmd

	closing atomic.Bool
	mu      sync.Mutex
	seats   map[string]*seat
}

type seat struct {
	joined chan error    // answered once
	left   chan struct{} // closed when out of the room
}

func newLight(o *options) (*light, error) {
	for _, file := range []string{o.python, o.sample} {
		if _, err := os.Stat(file); err != nil {
			return nil, fmt.Errorf("run tests/stack/install light first: %w", err)
		}
	}
	l := &light{opts: o, seats: map[string]*seat{}}
	l.child = exec.Command(o.python, "-u", "-c", seatsScript, o.url)
	l.child.Stderr = os.Stderr
	input, err := l.child.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := l.child.StdoutPipe()
	if err != nil {
		return nil, err
	}
	l.input = input
	if err := startBound(l.child); err != nil {
		return nil, fmt.Errorf("seats: %w", err)
	}
	go l.listen(output)
	return l, nil
}

func (l *light) close() {
	l.closing.Store(true)
	kill(l.child)
}

func (l *light) record(t *take) {
	if text := l.opts.fail; text != "" {
		t.settle(errors.New(text))
		return
	}
	s := l.join(t)
	if err := l.wait(t, s); err != nil {
		l.leave(t, s)
		t.settle(err)
		return
	}
	if t.active() {
		t.lasts(s.left)
	}
	l.leave(t, s)
	if t.duration() == 0 { // stopped before it began
		t.settle(nil)
		return
	}
	t.settle(l.deliver(t))
}

// wait lasts until the recording may begin or somebody has ended it.
func (l *light) wait(t *take, s *seat) error {
	select {
	case err := <-s.joined:
		if err != nil {
			return err
		}
	case <-t.stopping:
		return nil
	case <-time.After(30 * time.Second):
		return errors.New("no connection to the room")
	}
	select {
	case <-time.After(l.opts.activeAfter):
	case <-t.stopping:
	case <-s.left:
		t.sourceClosed()
	}
	return nil
}

// deliver cuts the film to length; copying streams costs next to nothing.
func (l *light) deliver(t *take) error {
	film, err := t.film()
	if err != nil {
		return err
	}
	defer os.Remove(film)
	length := max(t.duration(), 100*time.Millisecond)
	cut := exec.Command("ffmpeg", "-nostdin", "-v", "error", "-y", "-stream_loop", "-1", "-i", l.opts.sample,
		"-t", fmt.Sprintf("%.3f", length.Seconds()), "-c", "copy", "-movflags", "+faststart", film)
	if out, err := runBound(cut); err != nil {
		return fmt.Errorf("ffmpeg: %w: %s", err, out)
	}
	return t.deliver(film)
}

func (l *light) join(t *take) *seat {
	s := &seat{joined: make(chan error, 1), left: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seats[t.id] = s
	fmt.Fprintf(l.input, "join %s %s\n", t.id, t.token)
	return s
}

// leave is done when the room no longer has the seat.
func (l *light) leave(t *take, s *seat) {
	l.mu.Lock()
	fmt.Fprintf(l.input, "leave %s\n", t.id)
	l.mu.Unlock()
	select {
	case <-s.left:
	case <-time.After(10 * time.Second):
		log.Printf("%s does not get out of the room", t.id)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.seats, t.id)
}

// listen hands the seats' news to their takes. Without seats there is no
// worker, so the end of the process is the end of this one.
func (l *light) listen(output io.Reader) {
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		log.Printf("seat %s", lines.Text())
		word, rest, _ := strings.Cut(lines.Text(), " ")
		id, text, _ := strings.Cut(rest, " ")
		l.news(word, id, text)
	}
	if !l.closing.Load() {
		log.Fatal("seats: the process that holds them is gone")
	}
}

func (l *light) news(word, id, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.seats[id]
	if s == nil {
		return
	}
	switch word {
	case "joined":
		s.joined <- nil
	case "failed":
		s.joined <- errors.New(text)
	case "left":
		select {
		case <-s.left:
		default:
			close(s.left)
		}
	}
}
