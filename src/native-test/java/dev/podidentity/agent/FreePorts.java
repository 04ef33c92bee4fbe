package dev.podidentity.agent;

import java.io.IOException;
import java.net.BindException;
import java.net.ServerSocket;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;

/** Ports that nothing listens on, for processes that must be told theirs. */
public final class FreePorts {

    /** Below the ports that clients get: a client that tries and tries would in the end connect to itself there. */
    private static final int LOWEST = 20_000;
    private static final int HIGHEST = 30_000;
    private static final int HIGHEST_FIRST = 29_000;

    private FreePorts() {}

    public static int one() throws IOException {
        return take(1).get(0);
    }

    /** Different ones. The search begins anywhere, so that several processes that look at one time find different ones. */
    public static List<Integer> take(int count) throws IOException {
        List<ServerSocket> sockets = new ArrayList<>();
        try {
            for (int port = ThreadLocalRandom.current().nextInt(LOWEST, HIGHEST_FIRST); sockets.size() < count; port++) {
                try {
                    sockets.add(new ServerSocket(port));
                } catch (BindException e) {
                    if (port == HIGHEST) {
                        throw e;
                    }
                }
            }
            return sockets.stream().map(ServerSocket::getLocalPort).toList();
        } finally {
            for (ServerSocket socket : sockets) {
                socket.close();
            }
        }
    }
}
