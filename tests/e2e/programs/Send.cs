using System;
using System.IO;
using System.Net.Http;
using System.Net.Http.Headers;

/// .NET's HttpClient: bytes, a stream in chunks, a form.
class Send
{
    static void Main(string[] args)
    {
        var content = File.ReadAllBytes(args[1]);
        var dicom = new MediaTypeHeaderValue("application/dicom");
        var bytes = new ByteArrayContent(content);
        bytes.Headers.ContentType = dicom;
        var stream = new StreamContent(new MemoryStream(content));
        stream.Headers.ContentType = dicom;
        var form = new MultipartFormDataContent();
        form.Add(new ByteArrayContent(content), "file", "m.dcm");
        using (var client = new HttpClient())
        {
            Post(client, args[0], bytes, false);
            Post(client, args[0], stream, true);
            Post(client, args[0], form, false);
        }
    }

    static void Post(HttpClient client, string url, HttpContent body, bool chunked)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, url) { Content = body };
        request.Headers.TransferEncodingChunked = chunked;
        Console.WriteLine((int)client.SendAsync(request).Result.StatusCode);
    }
}
