// Go's net/http: a file as it is, in chunks, and as a form.
package main

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
)

func send(url string, kind string, body io.Reader) {
	answer, err := http.Post(url, kind, body)
	if err != nil {
		panic(err)
	}
	io.Copy(io.Discard, answer.Body)
	answer.Body.Close()
	fmt.Println(answer.StatusCode)
}

func main() {
	content, err := os.ReadFile(os.Args[2])
	if err != nil {
		panic(err)
	}
	send(os.Args[1], "application/dicom", bytes.NewReader(content))
	send(os.Args[1], "application/dicom", io.MultiReader(bytes.NewReader(content)))
	var form bytes.Buffer
	writer := multipart.NewWriter(&form)
	part, _ := writer.CreateFormFile("file", "m.dcm")
	part.Write(content)
	writer.Close()
	send(os.Args[1], writer.FormDataContentType(), &form)
}
