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

// worker is the face towards the server: it begins takes, counts them and knows
// nothing of how they are recorded.
type worker struct {
	opts   *options
	bus    psrpc.MessageBus
	io     rpc.IOInfoClient
	studio studio

	mu       sync.Mutex
	takes    map[string]*take
	draining bool
	drained  chan struct{}
}

func newWorker(o *options, bus psrpc.MessageBus, s studio) (*worker, error) {
	io, err := rpc.NewIOInfoClient(bus)
	if err != nil {
		return nil, fmt.Errorf("io client: %w", err)
	}
	w := &worker{opts: o, bus: bus, io: io, studio: s, takes: map[string]*take{}, drained: make(chan struct{})}
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

// StartEgressAffinity bids for a take. A full worker bids too, so that its
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
	t, err := newTake(w, req)
	if err != nil {
		log.Printf("%s refused: %v", req.EgressId, err)
		return nil, err
	}
	if err := w.admit(t); err != nil {
		log.Printf("%s refused: %v", req.EgressId, err)
		return nil, err
	}
	server, err := rpc.NewEgressHandlerServer(handler{t}, w.bus)
	if err == nil {
		err = server.RegisterStopEgressTopic(t.id)
	}
	if err == nil {
		// Before the answer, as egress does: the store must know the egress
		// before its first update, or it is never listed by room.
		_, err = w.io.CreateEgress(ctx, t.snapshot())
	}
	if err != nil {
		w.dismiss(t)
		return nil, err
	}
	reply := t.snapshot()
	go func() {
		defer w.dismiss(t)
		defer server.Shutdown()
		t.run()
	}()
	log.Printf("%s starting in room %s", t.id, t.room)
	return reply, nil
}

func (w *worker) ListActiveEgress(context.Context, *rpc.ListActiveEgressRequest) (*rpc.ListActiveEgressResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	res := &rpc.ListActiveEgressResponse{}
	for id := range w.takes {
		res.EgressIds = append(res.EgressIds, id)
	}
	return res, nil
}

func (w *worker) admit(t *take) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.draining:
		return psrpc.NewErrorf(psrpc.Unavailable, "server is shutting down")
	case w.takes[t.id] != nil:
		return psrpc.NewErrorf(psrpc.AlreadyExists, "egress already exists")
	case len(w.takes) >= w.opts.capacity:
		return psrpc.NewErrorf(psrpc.ResourceExhausted, "not enough CPU")
	}
	w.takes[t.id] = t
	return nil
}

func (w *worker) dismiss(t *take) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.takes, t.id)
	w.closeIfDone()
}

// drain begins no more takes and, when asked to, ends those that run.
func (w *worker) drain(end bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.draining = true
	if end {
		for _, t := range w.takes {
			t.stop(livekit.EndReasonKilled)
		}
	}
	w.closeIfDone()
}

func (w *worker) closeIfDone() {
	if !w.draining || len(w.takes) > 0 {
		return
	}
	select {
	case <-w.drained:
	default:
		close(w.drained)
	}
}

// publish tells the server about a take; the server stores it and sends the
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
type handler struct{ take *take }

func (h handler) StopEgress(context.Context, *livekit.StopEgressRequest) (*livekit.EgressInfo, error) {
	return h.take.stop(livekit.EndReasonAPI), nil
}

func (handler) UpdateStream(context.Context, *livekit.UpdateStreamRequest) (*livekit.EgressInfo, error) {
	return nil, psrpc.NewErrorf(psrpc.InvalidArgument, "cannot update stream on non-stream egress")
}

func (handler) UpdateEgress(context.Context, *livekit.UpdateEgressRequest) (*livekit.EgressInfo, error) {
	return nil, psrpc.NewErrorf(psrpc.Unimplemented, "not part of the stand-in")
}
