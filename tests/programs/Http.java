import com.sun.net.httpserver.HttpServer;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;

/** HTTP echo server and its client: `java Http.java server PORT`, `... client PORT COUNT`. */
public class Http {
    public static void main(String[] args) throws Exception {
        int port = Integer.parseInt(args[1]);
        if (args[0].equals("server")) {
            serve(port);
        } else {
            check(port, Integer.parseInt(args[2]));
        }
    }

    static void serve(int port) throws Exception {
        var address = new InetSocketAddress(InetAddress.getLoopbackAddress(), port);
        var server = HttpServer.create(address, 0);
        server.setExecutor(Executors.newFixedThreadPool(4));
        server.createContext("/", exchange -> {
            try (exchange) {
                byte[] body = exchange.getRequestBody().readAllBytes();
                exchange.sendResponseHeaders(200, body.length);
                exchange.getResponseBody().write(body);
            }
        });
        server.start();
        System.out.println("ready");
    }

    /** Asks in groups, so that several connections are in use at once and are used again. */
    static void check(int port, int count) throws Exception {
        var client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
        var uri = URI.create("http://127.0.0.1:" + port + "/");
        for (int done = 0; done < count; ) {
            var group = new ArrayList<CompletableFuture<Void>>();
            for (int i = 0; i < 10 && done < count; i++, done++) {
                group.add(ask(client, uri, 1 + done * 997));
            }
            CompletableFuture.allOf(group.toArray(CompletableFuture[]::new)).join();
        }
        System.out.println(count + " answers are right");
    }

    static CompletableFuture<Void> ask(HttpClient client, URI uri, int size) {
        byte[] body = new byte[size];
        for (int i = 0; i < size; i++) {
            body[i] = (byte) (i * 131 + (i >> 8));
        }
        var request = HttpRequest.newBuilder(uri).POST(HttpRequest.BodyPublishers.ofByteArray(body));
        return client.sendAsync(request.build(), HttpResponse.BodyHandlers.ofByteArray())
            .thenAccept(response -> {
                if (response.statusCode() != 200 || !Arrays.equals(response.body(), body)) {
                    throw new IllegalStateException("wrong answer to " + size + " octets");
                }
            });
    }
}
