import java.net.URI;
import java.net.http.*;
import java.net.http.HttpRequest.BodyPublishers;
import java.nio.file.*;

/** Java's own HttpClient, which offers HTTP/2 to every http:// URL: a file, a stream, a file again. */
class Send {
    public static void main(String[] args) throws Exception {
        var client = HttpClient.newHttpClient();
        var file = Path.of(args[1]);
        var whole = BodyPublishers.ofFile(file);
        var chunked = BodyPublishers.ofInputStream(() -> {
            try { return Files.newInputStream(file); } catch (Exception e) { return null; }
        });
        for (var body : new HttpRequest.BodyPublisher[] {whole, chunked, whole}) {
            var request = HttpRequest.newBuilder(URI.create(args[0]))
                .header("Content-Type", "application/dicom").POST(body).build();
            var answer = client.send(request, HttpResponse.BodyHandlers.ofString());
            System.out.println(answer.statusCode());
        }
    }
}
