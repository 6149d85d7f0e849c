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

// job is one egress: what the server is told about it, and when it has to end.
// It owns the order of statuses; a studio only reports what happened.
type job struct {
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

func newJob(w *worker, req *rpc.StartEgressRequest) (*job, error) {
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
	return &job{
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

func (j *job) snapshot() *livekit.EgressInfo {
	j.mu.Lock()
	defer j.mu.Unlock()
	return proto.Clone(j.info).(*livekit.EgressInfo)
}

// update changes the info and, if the change says so, tells the server; one at
// a time, so that statuses never arrive reversed.
func (j *job) update(change func() bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if change() {
		j.w.publish(proto.Clone(j.info).(*livekit.EgressInfo))
	}
}

func (j *job) run() {
	j.mu.Lock()
	j.info.StartedAt = time.Now().UnixNano()
	j.mu.Unlock()
	j.w.studio.record(j)
}

// active says that the recording has begun; false if it was stopped before.
func (j *job) active() bool {
	begun := false
	j.update(func() bool {
		if j.info.Status != livekit.EgressStatus_EGRESS_STARTING {
			return false
		}
		begun = true
		j.file.StartedAt = time.Now().UnixNano()
		j.info.UpdateStatus(livekit.EgressStatus_EGRESS_ACTIVE)
		return true
	})
	return begun
}

// stop ends the job on somebody's wish and returns what it then looks like.
func (j *job) stop(reason string) *livekit.EgressInfo {
	return j.end(reason, true)
}

// sourceClosed ends the job because the room did.
func (j *job) sourceClosed() {
	j.end(livekit.EndReasonSrcClosed, j.w.opts.endingOnClose)
}

// limitReached ends the job because it has become too long.
func (j *job) limitReached() {
	j.end(livekit.EndReasonLimitReached, false)
}

// end sets the status and the times; settle tells the rest. With announce the
// server hears of ENDING first.
func (j *job) end(reason string, announce bool) *livekit.EgressInfo {
	j.finish.Do(func() {
		defer close(j.stopping)
		j.update(func() bool {
			j.info.SetEndReason(reason)
			switch j.info.Status {
			case livekit.EgressStatus_EGRESS_STARTING:
				// Told to the server by settle, when everything is put away.
				j.info.SetAborted(livekit.MsgStoppedBeforeStarted)
				return false
			case livekit.EgressStatus_EGRESS_ACTIVE:
				if reason == livekit.EndReasonLimitReached {
					j.info.SetLimitReached()
				} else if announce {
					j.info.UpdateStatus(livekit.EgressStatus_EGRESS_ENDING)
				}
				return announce
			}
			return false
		})
		j.mu.Lock()
		defer j.mu.Unlock()
		if j.file.StartedAt != 0 {
			// After the update: the webhook of ENDING has no end yet, the
			// answer to the stop has.
			j.file.EndedAt = time.Now().UnixNano()
			j.file.Duration = j.file.EndedAt - j.file.StartedAt
		}
	})
	return j.snapshot()
}

// settle reports the final status. The studio has left the room by now.
func (j *job) settle(err error) {
	j.update(func() bool {
		switch {
		case j.info.Status == livekit.EgressStatus_EGRESS_ABORTED:
		case err != nil:
			j.info.SetFailed(err)
		case j.info.Status == livekit.EgressStatus_EGRESS_LIMIT_REACHED:
		default:
			j.info.SetComplete()
		}
		return true
	})
}

// lasts waits until the recording is told to end, closes or is too long.
func (j *job) lasts(closed <-chan struct{}) {
	var limit <-chan time.Time
	if j.w.opts.limit > 0 {
		limit = time.After(j.w.opts.limit)
	}
	select {
	case <-j.stopping:
	case <-closed:
		j.sourceClosed()
	case <-limit:
		j.limitReached()
	}
}

// duration is how long the recording ran; known once it was told to end.
func (j *job) duration() time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()
	return time.Duration(j.file.Duration)
}

// deliver moves a finished film to its place, all at once like an upload to an
// object store, and fills in the result.
func (j *job) deliver(film string) error {
	time.Sleep(j.w.opts.uploadDelay)
	if err := os.MkdirAll(filepath.Dir(j.path), 0o755); err != nil {
		return fmt.Errorf("folder of the recording: %w", err)
	}
	if err := os.Rename(film, j.path); err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	stat, err := os.Stat(j.path)
	if err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.file.Size = stat.Size()
	j.file.Location = j.path
	return nil
}

// film names a hidden file beside the recording's final place, on the same
// file system, so that it can be moved there.
func (j *job) film() (string, error) {
	if err := os.MkdirAll(j.w.opts.root, 0o755); err != nil {
		return "", err
	}
	return filepath.Join(j.w.opts.root, "."+j.id+".mp4"), nil
}
