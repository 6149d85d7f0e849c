package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/livekit/protocol/egress"
	"github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/rpc"
	"github.com/livekit/psrpc"
	"google.golang.org/protobuf/proto"
)

// take is one egress: what the server is told about it, and when it has to end.
// It owns the order of statuses; a studio only reports what happened.
type take struct {
	id, room, token string
	baseURL, layout string
	path            string // where the recording goes on disk
	w               *worker

	mu       sync.Mutex
	info     *livekit.EgressInfo
	file     *livekit.FileInfo // the one inside info
	finish   sync.Once
	stopping chan struct{} // closed by the first reason to end
}

func newTake(w *worker, req *rpc.StartEgressRequest) (*take, error) {
	composite := req.GetRoomComposite()
	if composite == nil {
		return nil, psrpc.NewErrorf(psrpc.InvalidArgument, "request has missing or invalid field: only room composite in the stand-in")
	}
	filename, err := filenameOf(composite)
	if err != nil {
		return nil, err
	}
	token := req.Token
	if token == "" {
		token, err = egress.BuildEgressToken(req.EgressId, w.opts.key, w.opts.secret, composite.RoomName)
		if err != nil {
			return nil, err
		}
	}
	shown := proto.Clone(composite).(*livekit.RoomCompositeEgressRequest)
	egress.RedactEncodedOutputs(shown)
	file := &livekit.FileInfo{Filename: filename}
	return &take{
		id: req.EgressId, room: composite.RoomName, token: token,
		baseURL: composite.CustomBaseUrl, layout: composite.Layout,
		path: filepath.Join(w.opts.root, filepath.FromSlash(filename)),
		w:    w, file: file, stopping: make(chan struct{}),
		info: &livekit.EgressInfo{
			EgressId: req.EgressId, RoomId: req.RoomId, RoomName: composite.RoomName,
			Status: livekit.EgressStatus_EGRESS_STARTING, UpdatedAt: time.Now().UnixNano(),
			Request:     &livekit.EgressInfo_RoomComposite{RoomComposite: shown},
			FileResults: []*livekit.FileInfo{file},
			// Deprecated, but egress sets it too when there is one file.
			Result: &livekit.EgressInfo_File{File: file},
		},
	}, nil
}

// filenameOf takes the one file output from the new or the old field and adds
// the extension as egress does.
func filenameOf(req *livekit.RoomCompositeEgressRequest) (string, error) {
	output := req.GetFile()
	switch outputs := req.FileOutputs; len(outputs) {
	case 0:
	case 1:
		output = outputs[0]
	default:
		return "", psrpc.NewErrorf(psrpc.InvalidArgument, "request has missing or invalid field: multiple file outputs")
	}
	if output == nil {
		return "", psrpc.NewErrorf(psrpc.InvalidArgument, "request has missing or invalid field: output")
	}
	name := strings.ReplaceAll(output.Filepath, "{room_name}", req.RoomName)
	if name == "" || strings.HasSuffix(name, "/") {
		return "", psrpc.NewErrorf(psrpc.InvalidArgument, "request has missing or invalid field: filepath without a name in the stand-in")
	}
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if !strings.HasSuffix(name, ".mp4") {
		name += ".mp4"
	}
	return name, nil
}

func (t *take) snapshot() *livekit.EgressInfo {
	t.mu.Lock()
	defer t.mu.Unlock()
	return proto.Clone(t.info).(*livekit.EgressInfo)
}

// update changes the info and, if the change says so, tells the server; one at
// a time, so that statuses never arrive reversed.
func (t *take) update(change func() bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if change() {
		t.w.publish(proto.Clone(t.info).(*livekit.EgressInfo))
	}
}

func (t *take) run() {
	t.mu.Lock()
	t.info.StartedAt = time.Now().UnixNano()
	t.mu.Unlock()
	t.w.studio.record(t)
}

// active says that the recording has begun; false if it was stopped before.
func (t *take) active() bool {
	begun := false
	t.update(func() bool {
		if t.info.Status != livekit.EgressStatus_EGRESS_STARTING {
			return false
		}
		begun = true
		t.file.StartedAt = time.Now().UnixNano()
		t.info.UpdateStatus(livekit.EgressStatus_EGRESS_ACTIVE)
		return true
	})
	return begun
}

// stop ends the take on somebody's wish and returns what it then looks like.
func (t *take) stop(reason string) *livekit.EgressInfo {
	return t.end(reason, true)
}

// sourceClosed ends the take because the room did.
func (t *take) sourceClosed() {
	t.end(livekit.EndReasonSrcClosed, t.w.opts.endingOnClose)
}

// limitReached ends the take because it has become too long.
func (t *take) limitReached() {
	t.end(livekit.EndReasonLimitReached, false)
}

// end sets the status and the times; settle tells the rest. With announce the
// server hears of ENDING first.
func (t *take) end(reason string, announce bool) *livekit.EgressInfo {
	t.finish.Do(func() {
		defer close(t.stopping)
		t.update(func() bool {
			t.info.SetEndReason(reason)
			switch t.info.Status {
			case livekit.EgressStatus_EGRESS_STARTING:
				// Told to the server by settle, when everything is put away.
				t.info.SetAborted(livekit.MsgStoppedBeforeStarted)
				return false
			case livekit.EgressStatus_EGRESS_ACTIVE:
				if reason == livekit.EndReasonLimitReached {
					t.info.SetLimitReached()
				} else if announce {
					t.info.UpdateStatus(livekit.EgressStatus_EGRESS_ENDING)
				}
				return announce
			}
			return false
		})
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.file.StartedAt != 0 {
			// After the update: the webhook of ENDING has no end yet, the
			// answer to the stop has.
			t.file.EndedAt = time.Now().UnixNano()
			t.file.Duration = t.file.EndedAt - t.file.StartedAt
		}
	})
	return t.snapshot()
}

// settle reports the final status. The studio has left the room by now.
func (t *take) settle(err error) {
	t.update(func() bool {
		switch {
		case t.info.Status == livekit.EgressStatus_EGRESS_ABORTED:
		case err != nil:
			t.info.SetFailed(err)
		case t.info.Status == livekit.EgressStatus_EGRESS_LIMIT_REACHED:
		default:
			t.info.SetComplete()
		}
		return true
	})
}

// lasts waits until the recording is told to end, closes or is too long.
func (t *take) lasts(closed <-chan struct{}) {
	var limit <-chan time.Time
	if t.w.opts.limit > 0 {
		limit = time.After(t.w.opts.limit)
	}
	select {
	case <-t.stopping:
	case <-closed:
		t.sourceClosed()
	case <-limit:
		t.limitReached()
	}
}

// duration is how long the recording ran; known once it was told to end.
func (t *take) duration() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Duration(t.file.Duration)
}

// deliver moves a finished film to its place, all at once like an upload to an
// object store, and fills in the result.
func (t *take) deliver(film string) error {
	time.Sleep(t.w.opts.uploadDelay)
	if err := os.MkdirAll(filepath.Dir(t.path), 0o755); err != nil {
		return fmt.Errorf("folder of the recording: %w", err)
	}
	if err := os.Rename(film, t.path); err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	stat, err := os.Stat(t.path)
	if err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.file.Size = stat.Size()
	t.file.Location = t.path
	return nil
}

// film names a hidden file beside the recording's final place, on the same
// file system, so that it can be moved there.
func (t *take) film() (string, error) {
	if err := os.MkdirAll(t.w.opts.root, 0o755); err != nil {
		return "", err
	}
	return filepath.Join(t.w.opts.root, "."+t.id+".mp4"), nil
}
