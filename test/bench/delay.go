package main

import (
	"net"
	"sync"
	"time"
)

const (
	chunk  = 64 << 10
	chunks = 1024 // that one direction of a connection may have under way: no limit to bandwidth
)

// delay starts a proxy before address whose round trips take rtt longer: half of it each way, and
// one more for a new connection, as TCP's handshake would. Without latency there is no proxy.
func delay(address string, rtt time.Duration) (endpoint string, stop func(), err error) {
	if rtt == 0 {
		return "http://" + address, func() {}, nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go join(c, address, rtt)
		}
	}()
	return "http://" + l.Addr().String(), func() { l.Close() }, nil
}

// join connects c to address and copies both ways until both have ended.
func join(c net.Conn, address string, rtt time.Duration) {
	defer c.Close()
	up, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer up.Close()
	var both sync.WaitGroup
	both.Go(func() { pipe(c, up, rtt/2, rtt) })
	both.Go(func() { pipe(up, c, rtt/2, 0) })
	both.Wait()
}

// late is data that may go on at a certain time.
type late struct {
	data   []byte // of buffer
	buffer *[chunk]byte
	at     time.Time
}

var chunkPool = sync.Pool{New: func() any { return new([chunk]byte) }}

// pipe copies one direction, each byte late by d; the first ones by first more.
func pipe(from, to net.Conn, d, first time.Duration) {
	queue := make(chan late, chunks)
	go func() {
		defer close(queue)
		for {
			buffer, _ := chunkPool.Get().(*[chunk]byte)
			n, err := from.Read(buffer[:])
			if n > 0 {
				queue <- late{buffer[:n], buffer, time.Now().Add(d + first)}
				first = 0
			}
			if err != nil {
				return
			}
		}
	}()
	failed := false
	for x := range queue {
		if wait := time.Until(x.at); wait > 0 && !failed {
			time.Sleep(wait)
		}
		if !failed {
			if _, err := to.Write(x.data); err != nil {
				failed = true
				_ = from.SetReadDeadline(time.Now()) // nobody wants the rest
			}
		}
		chunkPool.Put(x.buffer)
	}
	if tcp, ok := to.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
}
