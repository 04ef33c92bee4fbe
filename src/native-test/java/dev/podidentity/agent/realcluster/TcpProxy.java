package dev.podidentity.agent.realcluster;

import java.io.Closeable;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Forwards connections to an API server, and can redirect them to another or drop all traffic. It counts the bytes from the
 * server, but cannot read them, because they are encrypted.
 */
final class TcpProxy implements AutoCloseable {

    private static final int CONNECT_MILLIS = 5000;
    private static final int CHUNK = 16 * 1024;

    private final ServerSocket listener;
    private final Set<Socket> open = ConcurrentHashMap.newKeySet();
    private final AtomicLong received = new AtomicLong();
    private volatile int target;
    private volatile boolean swallowing;

    TcpProxy(int target) {
        this.target = target;
        try {
            listener = new ServerSocket(0, 50, InetAddress.getByName("127.0.0.1"));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        daemon(this::accept);
    }

    URI url() {
        return URI.create("https://127.0.0.1:" + listener.getLocalPort());
    }

    /** Forwards new connections to another port. */
    void leadTo(int port) {
        target = port;
    }

    /** Drops all bytes, like a network that loses packets. Connections stay open, and new ones are accepted. */
    void swallow() {
        swallowing = true;
    }

    /** Forwards bytes again. Dropped bytes are lost, so the connections open until now are closed. */
    void pass() {
        open.forEach(TcpProxy::close);
        swallowing = false;
    }

    /** Returns the number of bytes received from the API server. */
    long received() {
        return received.get();
    }

    private void accept() {
        while (!listener.isClosed()) {
            try {
                Socket client = listener.accept();
                open.add(client);
                daemon(() -> serve(client));
            } catch (IOException e) {
                close(listener);
            }
        }
    }

    private void serve(Socket client) {
        Socket server = new Socket();
        open.add(server);
        try {
            server.connect(new InetSocketAddress(InetAddress.getByName("127.0.0.1"), target), CONNECT_MILLIS);
            daemon(() -> copy(server, client, received));
            copy(client, server, new AtomicLong());
        } catch (IOException e) {
            close(client);
            close(server);
        }
    }

    private void copy(Socket from, Socket to, AtomicLong counted) {
        byte[] chunk = new byte[CHUNK];
        try {
            for (int read = from.getInputStream().read(chunk); read >= 0; read = from.getInputStream().read(chunk)) {
                if (!swallowing) {
                    counted.addAndGet(read);
                    to.getOutputStream().write(chunk, 0, read);
                }
            }
        } catch (IOException e) {
            // One end has closed, so the other one is closed below.
        } finally {
            // A network that loses all packets also loses the news that an end has closed.
            if (!swallowing) {
                close(from);
                close(to);
                open.remove(from);
                open.remove(to);
            }
        }
    }

    private static void close(Closeable socket) {
        try {
            socket.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void daemon(Runnable task) {
        Thread thread = new Thread(task, "tcp-proxy");
        thread.setDaemon(true);
        thread.start();
    }

    @Override
    public void close() {
        close(listener);
        open.forEach(TcpProxy::close);
    }
}
