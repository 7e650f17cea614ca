# docker compose up -d, then: export DATABASE_URL=postgresql://postgres:development@localhost:5432/$name
services:
  database:
    image: postgres:18
    environment:
      POSTGRES_DB: $name
      POSTGRES_PASSWORD: development
    ports:
      - "127.0.0.1:5432:5432"
    volumes:
      - database:/var/lib/postgresql
    healthcheck:
      test: ["CMD-SHELL", "pg_isready -U postgres -d $name"]
      interval: 2s
      timeout: 5s
      retries: 30

volumes:
  database:
