package main

import (
	"context"
	"fmt"
	"log"
	"sync"
	"time"

	"github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/rpc"
	"github.com/livekit/psrpc"
)

// worker is the face towards the server: it takes jobs, counts them and knows
// nothing of how they are recorded.
type worker struct {
	opts   *options
	bus    psrpc.MessageBus
	io     rpc.IOInfoClient
	studio studio

	mu       sync.Mutex
	jobs     map[string]*job
	draining bool
	drained  chan struct{}
}

func newWorker(o *options, bus psrpc.MessageBus, s studio) (*worker, error) {
	io, err := rpc.NewIOInfoClient(bus)
	if err != nil {
		return nil, fmt.Errorf("io client: %w", err)
	}
	w := &worker{opts: o, bus: bus, io: io, studio: s, jobs: map[string]*job{}, drained: make(chan struct{})}
	server, err := rpc.NewEgressInternalServer(w, bus)
	if err != nil {
		return nil, fmt.Errorf("egress server: %w", err)
	}
	if err := server.RegisterStartEgressTopic(""); err != nil {
		return nil, fmt.Errorf("topic StartEgress: %w", err)
	}
	if err := server.RegisterListActiveEgressTopic(""); err != nil {
		return nil, fmt.Errorf("topic ListActiveEgress: %w", err)
	}
	return w, nil
}

// StartEgressAffinity bids for a job. A full worker bids too, so that its
// refusal can be tested; a draining one keeps silent like the real one.
func (w *worker) StartEgressAffinity(context.Context, *rpc.StartEgressRequest) float32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.draining {
		return -1
	}
	return 1
}

func (w *worker) StartEgress(ctx context.Context, req *rpc.StartEgressRequest) (*livekit.EgressInfo, error) {
	j, err := newJob(w, req)
	if err != nil {
		log.Printf("%s refused: %v", req.EgressId, err)
		return nil, err
	}
	if err := w.admit(j); err != nil {
		log.Printf("%s refused: %v", req.EgressId, err)
		return nil, err
	}
	server, err := rpc.NewEgressHandlerServer(handler{j}, w.bus)
	if err == nil {
		err = server.RegisterStopEgressTopic(j.id)
	}
	if err == nil {
		// Before the answer, as egress does: the store must know the egress
		// before its first update, or it is never listed by room.
		_, err = w.io.CreateEgress(ctx, j.snapshot())
	}
	if err != nil {
		w.dismiss(j)
		return nil, err
	}
	reply := j.snapshot()
	go func() {
		defer w.dismiss(j)
		defer server.Shutdown()
		j.run()
	}()
	log.Printf("%s starting in room %s", j.id, j.room)
	return reply, nil
}

func (w *worker) ListActiveEgress(context.Context, *rpc.ListActiveEgressRequest) (*rpc.ListActiveEgressResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	res := &rpc.ListActiveEgressResponse{}
	for id := range w.jobs {
		res.EgressIds = append(res.EgressIds, id)
	}
	return res, nil
}

func (w *worker) admit(j *job) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.draining:
		return psrpc.NewErrorf(psrpc.Unavailable, "server is shutting down")
	case w.jobs[j.id] != nil:
		return psrpc.NewErrorf(psrpc.AlreadyExists, "egress already exists")
	case len(w.jobs) >= w.opts.capacity:
		return psrpc.NewErrorf(psrpc.ResourceExhausted, "not enough CPU")
	}
	w.jobs[j.id] = j
	return nil
}

func (w *worker) dismiss(j *job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.jobs, j.id)
	w.closeIfDone()
}

// drain takes no more jobs and, when asked to, ends those that run.
func (w *worker) drain(end bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.draining = true
	if end {
		for _, j := range w.jobs {
			j.stop(livekit.EndReasonKilled)
		}
	}
	w.closeIfDone()
}

func (w *worker) closeIfDone() {
	if !w.draining || len(w.jobs) > 0 {
		return
	}
	select {
	case <-w.drained:
	default:
		close(w.drained)
	}
}

// publish tells the server about a job; the server stores it and sends the
// webhook. It is tried again for a while, since Redis may be restarting.
func (w *worker) publish(info *livekit.EgressInfo) {
	for attempt := 1; ; attempt++ {
		_, err := w.io.UpdateEgress(context.Background(), info)
		if err == nil {
			log.Printf("%s %s", info.EgressId, info.Status)
			return
		}
		log.Printf("%s %s not delivered: %v", info.EgressId, info.Status, err)
		if attempt == 10 {
			return
		}
		time.Sleep(time.Second)
	}
}

// handler answers the calls that concern one egress.
type handler struct{ job *job }

func (h handler) StopEgress(context.Context, *livekit.StopEgressRequest) (*livekit.EgressInfo, error) {
	return h.job.stop(livekit.EndReasonAPI), nil
}

func (handler) UpdateStream(context.Context, *livekit.UpdateStreamRequest) (*livekit.EgressInfo, error) {
	return nil, psrpc.NewErrorf(psrpc.InvalidArgument, "cannot update stream on non-stream egress")
}

func (handler) UpdateEgress(context.Context, *livekit.UpdateEgressRequest) (*livekit.EgressInfo, error) {
	return nil, psrpc.NewErrorf(psrpc.Unimplemented, "not part of the stand-in")
}
