package main

import (
	"bytes"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Every process started here dies with the worker, even if the worker is
// killed: a recorder that outlived it would hide the very loss under test.
// Linux binds the child to the thread that started it, so one thread that
// never ends starts them all.
var starts = make(chan func())

func init() {
	go func() {
		runtime.LockOSThread()
		for start := range starts {
			start()
		}
	}()
}

func startBound(c *exec.Cmd) error {
	if c.SysProcAttr == nil {
		c.SysProcAttr = &syscall.SysProcAttr{}
	}
	c.SysProcAttr.Pdeathsig = syscall.SIGKILL
	c.SysProcAttr.Setpgid = true // a terminal's Ctrl-C is for the worker alone
	result := make(chan error)
	starts <- func() { result <- c.Start() }
	return <-result
}

// runBound waits for the end and returns what was printed.
func runBound(c *exec.Cmd) (string, error) {
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := startBound(c); err != nil {
		return "", err
	}
	err := c.Wait()
	return out.String(), err
}

// quit asks a child to end and insists after a while.
func quit(c *exec.Cmd, s syscall.Signal, patience time.Duration) error {
	_ = c.Process.Signal(s)
	insist := time.AfterFunc(patience, func() { signalGroup(c, syscall.SIGKILL) })
	defer insist.Stop()
	return c.Wait()
}

func kill(c *exec.Cmd) {
	signalGroup(c, syscall.SIGKILL)
	_ = c.Wait()
}

func signalGroup(c *exec.Cmd, s syscall.Signal) {
	_ = syscall.Kill(-c.Process.Pid, s)
}
